# Makes of a Debian tree with Apache and mod_auth_openidc an image that serves /var/www/html.
# Arguments: the tree's root, the version of mod_auth_openidc that must be inside, without its last number.
root=$1
version=$2

# shellcheck disable=SC2016 # dpkg-query fills that in, not the shell
inside=$(chroot "$root" dpkg-query --show --showformat='${Version}' libapache2-mod-auth-openidc)
case $inside in
"$version" | "$version"[.-]*) ;;
*)
    echo "the image is to be httpd-openidc:$version, but Debian now has: $inside" >&2
    exit 1
    ;;
esac

chroot "$root" a2enmod --quiet auth_openidc headers alias
chroot "$root" a2dissite --quiet 000-default
cat >"$root/etc/apache2/conf-available/container.conf" <<'CONF'
ServerName localhost
ErrorLog /dev/stderr
CustomLog /dev/stdout combined
# the recipe's own part is mounted here
IncludeOptional /etc/apache2/recipe/*.conf
CONF
chroot "$root" a2enconf --quiet container
chroot "$root" a2disconf --quiet other-vhosts-access-log || true
mkdir -p "$root/etc/apache2/recipe"
echo '<!doctype html><title>Private</title><p>Only for those who are logged in.</p>' >"$root/var/www/html/index.html"

rm -rf "$root"/var/lib/apt/* "$root"/var/cache/* "$root"/var/log/* "$root"/usr/lib/apt "$root"/usr/share/zoneinfo
mkdir -p "$root/var/log/apache2" "$root/var/cache/apache2/mod_auth_openidc/metadata"
chroot "$root" chown -R www-data "/var/cache/apache2"
