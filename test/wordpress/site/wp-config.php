<?php
/* The settings of the test's WordPress; what docs/wordpress.md says to add stands in recipe.php. */
define('DB_NAME', 'wordpress');
define('DB_USER', 'wordpress');
define('DB_PASSWORD', 'wordpress');
define('DB_HOST', 'localhost:' . __DIR__ . '/../db/socket');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {
    define("{$name}_KEY", hash('sha256', "$name key"));
    define("{$name}_SALT", hash('sha256', "$name salt"));
}
define('WP_DEFAULT_THEME', 'twentytwentyone');
// The recipe's lines are the ones under test: errors go to PHP's log, and nothing leaves the machine.
define('WP_DEBUG', false);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('WP_ACCESSIBLE_HOSTS', '127.0.0.1');
define('AUTOMATIC_UPDATER_DISABLED', true);
define('FS_METHOD', 'direct');
$table_prefix = 'wp_';
require __DIR__ . '/recipe.php';
if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
