# Makes of a Debian tree with MariaDB what people expect of a MariaDB image.
# Arguments: the tree's root, the version that must be inside, without its last number.
root=$1
version=$2

inside=$(chroot "$root" mariadbd --version)
case $inside in
*" $version."*) ;;
*)
    echo "the image is to be mariadb:$version, but Debian now has: $inside" >&2
    exit 1
    ;;
esac

cat >"$root/etc/mysql/mariadb.conf.d/99-container.cnf" <<'CNF'
[mariadbd]
bind-address = 0.0.0.0
skip-name-resolve
skip-log-bin
# Small on purpose: a lab has several of these. The log is as large as the first start of an app needs.
innodb_buffer_pool_size = 64M
innodb_log_file_size = 32M
performance_schema = OFF
CNF

# What the usual image does at its first start. The data are made beside the place and moved there when they
# are whole: a start that was killed in the middle is begun again.
cat >"$root/usr/local/sbin/start-mariadb" <<'START'
#!/bin/sh
set -eu
data=/var/lib/mysql
value() {
    eval "file=\${$1_FILE:-} plain=\${$1:-}"
    if [ -n "$file" ]; then cat "$file"; else printf %s "$plain"; fi
}
quoted() { value "$1" | sed "s/\\\\/\\\\\\\\/g; s/'/''/g"; }

if [ ! -d "$data/mysql" ]; then
    new=$data/.first-start
    rm -rf "$new"
    mkdir -p "$new"
    chown mysql:mysql "$data" "$new"
    mariadb-install-db --user=mysql --datadir="$new" --auth-root-authentication-method=normal --skip-test-db >/dev/null
    {
        echo "SET sql_mode=NO_BACKSLASH_ESCAPES; FLUSH PRIVILEGES;" | sed 's/SET sql_mode=NO_BACKSLASH_ESCAPES; //'
        echo "ALTER USER root@localhost IDENTIFIED BY '$(quoted MARIADB_ROOT_PASSWORD)';"
        if [ -n "${MARIADB_DATABASE:-}" ]; then
            echo "CREATE DATABASE \`$MARIADB_DATABASE\` CHARACTER SET utf8mb4;"
            echo "CREATE USER '$MARIADB_USER'@'%' IDENTIFIED BY '$(quoted MARIADB_PASSWORD)';"
            echo "GRANT ALL ON \`$MARIADB_DATABASE\`.* TO '$MARIADB_USER'@'%';"
        fi
    } | mariadbd --user=mysql --datadir="$new" --bootstrap
    find "$new" -mindepth 1 -maxdepth 1 ! -name mysql -exec mv -t "$data" {} +
    mv "$new/mysql" "$data/mysql" # last: it is what says that the rest is there
    rmdir "$new"
fi
mkdir -p /run/mysqld
chown mysql:mysql /run/mysqld
exec mariadbd --user=mysql --datadir="$data" "$@"
START
chmod 755 "$root/usr/local/sbin/start-mariadb"

rm -rf "${root:?}"/var/lib/mysql/* "$root"/var/lib/apt/* "$root"/var/cache/* "$root"/var/log/* "$root"/usr/lib/apt
mkdir -p "$root/var/log/mysql" "$root/var/cache"
