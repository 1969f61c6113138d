#!/bin/sh
# unstable.sh FOLDER PACKAGE... : unpacks packages of Debian unstable into FOLDER, from the mirror that this machine uses.
# Nothing is installed: the lists of packages and the settings of apt stay as they are.
set -eu

folder=$1
shift
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m 1 '/debian$')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$folder"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror unstable main" > "$work/sources.list"

apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@"
}

apt update
cd "$work"
apt download "$@"
for package in ./*.deb; do
    dpkg -x "$package" "$folder"
done
