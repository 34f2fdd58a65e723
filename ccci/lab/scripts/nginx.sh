# Makes of a Debian tree with nginx what people expect of an nginx image.
# Arguments: the tree's root, the version of nginx that must be inside.
root=$1
version=$2

inside=$(chroot "$root" nginx -v 2>&1)
if [ "$inside" != "nginx version: nginx/$version" ]; then
    echo "the image is to be nginx:$version, but Debian now has: $inside" >&2
    exit 1
fi

cat >"$root/etc/nginx/nginx.conf" <<'EOF'
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr warn;
events { worker_connections 512; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /dev/stdout;
    sendfile on;
    include /etc/nginx/conf.d/*.conf;
}
EOF
cat >"$root/etc/nginx/conf.d/default.conf" <<'EOF'
server {
    listen 80;
    root /usr/share/nginx/html;
    index index.html;
}
EOF

# What only matters to a Debian that installs more packages.
rm -rf "$root"/var/lib/apt/* "$root"/var/cache/* "$root"/var/log/* "$root"/var/lib/dpkg/info \
    "$root"/usr/share/perl "$root"/usr/share/perl5 "$root"/usr/lib/*/perl "$root"/usr/lib/*/perl-base \
    "$root"/usr/share/zoneinfo "$root"/usr/lib/apt "$root"/usr/bin/perl* "$root"/var/www
mkdir -p "$root/var/log/nginx" "$root/var/cache"
ln -sf /dev/stdout "$root/var/log/nginx/access.log"
ln -sf /dev/stderr "$root/var/log/nginx/error.log"
