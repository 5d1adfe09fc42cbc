<?php
/* Runs the PHP that a test sends, inside WordPress. */
require __DIR__ . '/wp-load.php';
eval(file_get_contents('php://input'));
