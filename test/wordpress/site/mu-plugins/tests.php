<?php
/* Tests comment faster than people do. */
add_filter('wp_is_comment_flood', '__return_false', PHP_INT_MAX);

/* WordPress as it is when its database or a plugin is broken, while the option `tests_fail` is set. */
add_action('template_redirect', function (): void {
    if (get_option('tests_fail')) {
        wp_die('Out of order.', '', ['response' => 500]);
    }
}, 0);
