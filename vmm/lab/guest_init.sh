#!/bin/busybox sh
# The first process of the stock guest. The kernel command line decides what it does:
#   vmm.run=shell (default)  an interactive shell on the console; when it ends, power off
#   vmm.run=ready            print "guest ready", power off
#   vmm.cmd="COMMAND"        run it with sh, print "vmm.cmd: exit STATUS", power off
# /modules/order, if there, names module files of /modules to load first.
BB=/bin/busybox
$BB mount -t devtmpfs dev /dev
$BB mount -t proc proc /proc
$BB mount -t sysfs sys /sys
read -r line </proc/cmdline
run=shell command=
case " $line " in *" vmm.run=ready "*) run=ready ;; esac
case " $line" in
*' vmm.cmd="'*) command=${line#*vmm.cmd=\"} command=${command%%\"*} ;;
*' "vmm.cmd='*) command=${line#*\"vmm.cmd=} command=${command%%\"*} ;;
*' vmm.cmd='*) command=${line#*vmm.cmd=} command=${command%% *} ;;
esac
if [ -e /modules/order ]; then
	while read -r module; do $BB insmod "/modules/$module"; done </modules/order
fi
echo "guest ready"
if [ -n "$command" ]; then
	$BB sh -c "$command"
	echo "vmm.cmd: exit $?"
elif [ $run = shell ]; then
	export PATH=/bin HOME=/ TERM=${TERM:-linux} PS1='guest:\w# '
	$BB --install -s /bin
	read -r active </sys/class/tty/console/active
	echo "busybox shell on ${active##* }; 'exit' powers the guest off"
	cd / && $BB setsid -c $BB sh </dev/"${active##* }" >/dev/"${active##* }" 2>&1
fi
exec $BB poweroff -f
