# Puts Keycloak into a Debian tree with Java and builds it for MariaDB.
# Arguments: the tree's root, the version that must be inside, the zip of the distribution.
root=$1
version=$2
archive=$3

python3 -m zipfile -e "$archive" "$root/opt"
mv "$root/opt/keycloak-$version" "$root/opt/keycloak"
chmod 755 "$root"/opt/keycloak/bin/*.sh
chroot "$root" useradd --uid 1000 --no-create-home --home-dir /opt/keycloak --shell /usr/sbin/nologin keycloak
chroot "$root" /opt/keycloak/bin/kc.sh build --db=mariadb --health-enabled=true
chown -R 1000:1000 "$root/opt/keycloak"

inside=$(chroot "$root" /opt/keycloak/bin/kc.sh --version)
case $inside in
*"Keycloak $version"*) ;;
*)
    echo "the image is to be keycloak:$version, but inside is: $inside" >&2
    exit 1
    ;;
esac
rm -rf "$root"/var/lib/apt/* "$root"/var/cache/* "$root"/var/log/* "$root"/usr/lib/apt "$root"/usr/share/zoneinfo
mkdir -p "$root/var/cache"
