#!/bin/sh
# Usage: system-packages.sh PACKAGE...
# Installs the Debian packages that are missing; without the right to, says which they are and fails.
# apt's configuration stays as it is; its package lists are read anew only where installing needs it.
set -eu

missing=
for package in "$@"; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "vmm: these system packages are missing, ask root to run: apt-get install$missing" >&2
	exit 1
fi
echo "vmm: installing system packages:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y --no-install-recommends $missing; }
install || { echo "vmm: reading the system's package lists" >&2 && apt-get update && install; }
