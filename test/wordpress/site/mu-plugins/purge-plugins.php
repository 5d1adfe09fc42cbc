<?php
/*
 * Purges as three plugins send them when a post is saved. The option `purge_as` says which of the three is at work and
 * where its PURGE goes: {"plugin": "…", "server": "HOST:PORT"}. Written anew after what the plugins put on the wire.
 */

/* Proxy Cache Purge (varnish-http-purge) 5.2: one request for each URL, through WordPress' HTTP client. */
function purge_as_proxy_cache_purge(string $server, string $url, bool $is_expression): void
{
    $parts = wp_parse_url($url);
    wp_remote_request('http://' . $server . $parts['path'] . ($is_expression ? '.*' : ''), [
        'method' => 'PURGE',
        'sslverify' => false,
        'headers' => ['host' => $parts['host'], 'X-Purge-Method' => $is_expression ? 'regex' : 'default'],
    ]);
}

/* WP Rocket 3: likewise, but it does not wait for the answer. */
function purge_as_wp_rocket(string $server, string $url, bool $is_expression): void
{
    $parts = wp_parse_url($url);
    wp_remote_request('http://' . $server . $parts['path'] . ($is_expression ? '.*' : ''), [
        'method' => 'PURGE',
        'blocking' => false,
        'redirection' => 0,
        'headers' => ['host' => $parts['host'], 'X-Purge-Method' => $is_expression ? 'regex' : 'default'],
    ]);
}

/* W3 Total Cache 2: on a socket of its own, and an expression without a field that says so. */
function purge_as_w3_total_cache(string $server, string $url, bool $is_expression): void
{
    $parts = wp_parse_url($url);
    $path = $parts['path'] . ($is_expression ? '.*' : '');
    [$host, $port] = explode(':', $server);
    $socket = fsockopen("tcp://$host", (int) $port, $code, $message, 10);
    $lines = ["PURGE $path HTTP/1.1", "Host: {$parts['host']}", 'User-Agent: W3 Total Cache', 'Connection: close'];
    fputs($socket, implode("\r\n", $lines) . "\r\n\r\n");
    while (!feof($socket)) {
        fgets($socket, 4096);
    }
    fclose($socket);
}

/* Each purges the post and the home page; WP Rocket the pages after these as well. */
add_action('save_post_post', function (int $id): void {
    $as = json_decode(get_option('purge_as', ''), true);
    if (!is_array($as)) {
        return;
    }
    $purge = 'purge_as_' . $as['plugin'];
    $is_rocket = $as['plugin'] === 'wp_rocket';
    $purge($as['server'], get_permalink($id), $is_rocket);
    $purge($as['server'], home_url('/'), false);
    if ($is_rocket) {
        $purge($as['server'], home_url('/page/'), true);
    }
});
