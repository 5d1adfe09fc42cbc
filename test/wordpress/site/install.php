<?php
/*
 * Installs WordPress as the pages of wp-admin/install.php would, without a browser, and fills it: prints what it made as JSON.
 */
define('WP_INSTALLING', true);
require getcwd() . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

// The installer asks its own site over HTTP whether permalinks work: nobody listens yet.
add_filter('pre_http_request', fn() => new WP_Error('offline', 'The site is not served yet.'));
add_filter('pre_wp_mail', '__return_true');

wp_install('Seawall test', 'admin', 'admin@site.test', true, '', 'admin-password');
update_option('permalink_structure', '/%postname%/');
update_option('comment_previously_approved', '');
update_option('comment_registration', '');
update_option('comment_moderation', '');
$GLOBALS['wp_rewrite']->init();
flush_rewrite_rules();
wp_update_user(['ID' => 1, 'display_name' => 'Ada Administrator']);
wp_insert_user([
    'user_login' => 'author', 'user_pass' => 'author-password', 'user_email' => 'author@site.test',
    'display_name' => 'Arthur Author', 'role' => 'author',
]);
echo $GLOBALS['wp_version'];
