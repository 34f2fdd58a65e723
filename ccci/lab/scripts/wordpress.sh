# Makes of a Debian tree with WordPress and Apache what people expect of a WordPress image.
# Arguments: the tree's root, the version of WordPress that must be inside, without its last number.
root=$1
version=$2

# shellcheck disable=SC2016 # these are PHP's variables
inside=$(chroot "$root" php -r 'require "/usr/share/wordpress/wp-includes/version.php"; echo $wp_version;')
case $inside in
"$version" | "$version".*) ;;
*)
    echo "the image is to be wordpress:$version, but Debian now has: $inside" >&2
    exit 1
    ;;
esac

# One tree without links out of it: wp-content is a volume, which takes over what lies there at its first use.
site=$root/var/www/html
rm -rf "$site"
chroot "$root" cp -rL /usr/share/wordpress /var/www/html
mkdir -p "$site/wp-content/uploads"
chroot "$root" chown -R www-data:www-data /var/www/html/wp-content
rm -rf "$root/usr/share/wordpress"

cat >"$site/wp-config.php" <<'PHP'
<?php
function ccci_value($name, $default = '') {
    $file = getenv($name . '_FILE');
    $value = $file ? trim(file_get_contents($file)) : getenv($name);
    return $value === false ? $default : $value;
}
define('DB_HOST', ccci_value('WORDPRESS_DB_HOST', 'db'));
define('DB_NAME', ccci_value('WORDPRESS_DB_NAME', 'wordpress'));
define('DB_USER', ccci_value('WORDPRESS_DB_USER', 'wordpress'));
define('DB_PASSWORD', ccci_value('WORDPRESS_DB_PASSWORD'));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
foreach (array('AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY',
    'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT') as $key) {
    define($key, hash_hmac('sha256', $key, ccci_value('WORDPRESS_SALT')));
}
define('WP_HOME', ccci_value('WORDPRESS_URL'));
define('WP_SITEURL', WP_HOME);
define('WP_AUTO_UPDATE_CORE', false);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);
define('DISALLOW_FILE_MODS', true);
if (($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '') === 'https') {
    $_SERVER['HTTPS'] = 'on';
}
$table_prefix = 'wp_';
if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
PHP

# The first start installs, the first start of a newer version brings the database up to it: nobody has to click.
mkdir -p "$root/usr/local/share/wordpress"
cat >"$root/usr/local/share/wordpress/prepare.php" <<'PHP'
<?php
$url = parse_url(getenv('WORDPRESS_URL'));
$_SERVER += array('HTTP_HOST' => $url['host'], 'SERVER_NAME' => $url['host'], 'REQUEST_URI' => '/',
    'SERVER_PROTOCOL' => 'HTTP/1.1', 'REQUEST_METHOD' => 'GET', 'HTTPS' => 'on');
define('WP_INSTALLING', true);
require '/var/www/html/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
if (!is_blog_installed()) {
    wp_install(ccci_value('WORDPRESS_TITLE', 'WordPress'), ccci_value('WORDPRESS_ADMIN_USER', 'admin'),
        ccci_value('WORDPRESS_ADMIN_EMAIL', 'admin@example.com'), true, '', ccci_value('WORDPRESS_ADMIN_PASSWORD'));
    echo "installed WordPress $wp_version with database version $wp_db_version\n";
    exit(0);
}
$have = (int) get_option('db_version');
if ($have < $wp_db_version) {
    wp_upgrade();
    wp_cache_flush();
    $now = (int) get_option('db_version');
    echo "upgraded the database from version $have to $now\n";
    exit($now === $wp_db_version ? 0 : 1);
}
echo "the database has version $have, WordPress $wp_version wants $wp_db_version\n";
PHP

cat >"$root/usr/local/share/wordpress/reachable.php" <<'PHP'
<?php
mysqli_report(MYSQLI_REPORT_OFF);
$file = getenv('WORDPRESS_DB_PASSWORD_FILE');
$word = $file ? trim(file_get_contents($file)) : getenv('WORDPRESS_DB_PASSWORD');
$db = @mysqli_connect(getenv('WORDPRESS_DB_HOST'), getenv('WORDPRESS_DB_USER'), $word, getenv('WORDPRESS_DB_NAME'));
if (!$db) {
    fwrite(STDERR, mysqli_connect_error() . "\n");
    exit(1);
}
PHP

cat >"$root/usr/local/sbin/start-wordpress" <<'START'
#!/bin/sh
set -eu
tries=0
until said=$(php /usr/local/share/wordpress/reachable.php 2>&1); do
    tries=$((tries + 1))
    if [ "$tries" -ge "${WORDPRESS_DB_TRIES:-60}" ]; then
        echo "the database at $WORDPRESS_DB_HOST cannot be reached: $said" >&2
        exit 1
    fi
    sleep 0.5
done
# as the web server's user, so that what it writes belongs to that
setpriv --reuid=www-data --regid=www-data --clear-groups php /usr/local/share/wordpress/prepare.php
set +u # Apache's file reads what nobody has set
. /etc/apache2/envvars
mkdir -p "$APACHE_RUN_DIR"
exec apache2 -D FOREGROUND "$@"
START
chmod 755 "$root/usr/local/sbin/start-wordpress"

cat >"$root/etc/apache2/sites-available/000-default.conf" <<'CONF'
<VirtualHost *:80>
    DocumentRoot /var/www/html
    <Directory /var/www/html>
        AllowOverride All
        Require all granted
    </Directory>
</VirtualHost>
CONF
cat >"$root/etc/apache2/conf-available/container.conf" <<'CONF'
ServerName localhost
ErrorLog /dev/stderr
CustomLog /dev/stdout combined
StartServers 2
MinSpareServers 1
MaxSpareServers 3
MaxRequestWorkers 8
CONF
chroot "$root" a2enmod --quiet rewrite
chroot "$root" a2enconf --quiet container
chroot "$root" a2disconf --quiet other-vhosts-access-log || true

rm -rf "$root"/var/lib/apt/* "$root"/var/cache/* "$root"/var/log/* "$root"/usr/lib/apt
mkdir -p "$root/var/log/apache2" "$root/var/cache/apache2"
