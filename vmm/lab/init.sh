#!/bin/busybox sh
# The lab's first process. Stage 1 runs in the initramfs: modules, the host's tree as the root, then
# switch_root to this same script as stage 2, which runs the job and reports its exit status.
#
# Port "vmm.control" carries one line for each step, so that the outside can tell progress from a freeze:
#   stage NAME | note TEXT | fault TEXT | exit STATUS | beat          and back: winsize ROWS COLUMNS
# Ports "vmm.stdout" and "vmm.stderr" carry the job's output and nothing else. The kernel's own messages
# go to ttyS0. /lab holds: job (the command as a shell script), config (shell variables).

tell() { echo "$*" >&3; }
fault() { tell "fault $*"; $BB sleep 1000; }

port() { # prints the device of the virtio-serial port named $1
	for p in /sys/class/virtio-ports/*; do
		read -r name <"$p/name" && [ "$name" = "$1" ] && echo "/dev/${p##*/}" && return
	done
	return 1
}

stage1() {
	BB=/bin/busybox
	$BB mount -t proc proc /proc
	$BB mount -t sysfs sys /sys
	$BB mount -t devtmpfs dev /dev
	while ! control=$(port vmm.control) || ! [ -c "$control" ]; do $BB usleep 10000; done
	exec 3<>"$control"
	tell stage kernel
	$BB modprobe -a $BOOT_ORDER || fault "the modules for the root cannot be loaded"
	mount_root
	tell stage root
	$BB modprobe -a $LAB_ORDER || tell "note some modules could not be loaded: see the console"
	tell stage modules
	exec $BB switch_root /new /.vmm-lab/busybox sh /.vmm-lab/init stage2
}

mount_root() {
	p9=trans=virtio,version=9p2000.L,msize=512000
	$BB mount -t tmpfs -o mode=755 scratch /scratch
	$BB mkdir /scratch/upper /scratch/work /scratch/shm /scratch/shmwork
	$BB chmod 1777 /scratch/shm
	$BB mount -t 9p -o $p9,cache=loose,ro root /host || fault "the host's tree cannot be mounted"
	$BB mount -t overlay -o lowerdir=/host,upperdir=/scratch/upper,workdir=/scratch/work,xino=off \
		root /new || fault "no scratch layer over the host's tree"
	if [ "$OUT" = 1 ]; then
		$BB mkdir -p /new/out
		$BB mount -t 9p -o $p9,cache=none out /new/out || fault "/out cannot be mounted"
	fi
	$BB mkdir -p /new/.vmm-lab "/new$MODULE_TREE" /new/proc /new/sys /new/dev
	$BB mount -t tmpfs -o mode=755 lab /new/.vmm-lab
	$BB cp /bin/busybox /new/.vmm-lab/busybox
	$BB ln -s busybox /new/.vmm-lab/modprobe
	$BB cp /init /lab/job /lab/config /new/.vmm-lab/
	$BB mount -o bind "/host$MODULE_SOURCE" "/new$MODULE_TREE" || tell "note no module tree"
	for d in proc sys dev; do $BB mount -o move /$d /new/$d; done
	$BB mkdir -p /new/dev/pts /new/dev/shm
	$BB mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /new/dev/pts
	$BB mount -t overlay -o lowerdir=/host/dev/shm,upperdir=/scratch/shm,workdir=/scratch/shmwork \
		shm /new/dev/shm 2>/dev/null || $BB mount -t tmpfs -o mode=1777 shm /new/dev/shm
}

stage2() { # the control port is still open as 3
	BB=/.vmm-lab/busybox
	echo /.vmm-lab/modprobe >/proc/sys/kernel/modprobe
	echo vmm-lab >/proc/sys/kernel/hostname
	for link in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
		[ -e "/dev/${link%:*}" ] || $BB ln -s "/proc/self/${link#*:}" "/dev/${link%:*}"
	done
	$BB mount -t debugfs debugfs /sys/kernel/debug
	$BB chmod 666 /dev/kvm /dev/net/tun /dev/vfio/vfio /dev/vhost-net /dev/vhost-vsock /dev/fuse
	$BB ip link set lo up
	[ "$BEAT" = 0 ] || while :; do $BB sleep "$BEAT"; tell beat; done &
	if [ "$INTERACTIVE" = 1 ]; then interactive; else batch; fi
	status=$?
	$BB sync
	tell "exit $status"
	$BB sleep 1000
}

# The job writes to pipes, not to the ports: a port can be opened once only, a pipe again and again.
batch() {
	$BB mkfifo /.vmm-lab/stdout /.vmm-lab/stderr
	$BB cat </.vmm-lab/stdout >"$(port vmm.stdout)" &
	out=$!
	$BB cat </.vmm-lab/stderr >"$(port vmm.stderr)" &
	err=$!
	tell stage job
	$BB setsid $BB sh /.vmm-lab/job </dev/null >/.vmm-lab/stdout 2>/.vmm-lab/stderr 3>&- &
	job=$!
	wait $job
	result=$?
	for p in /proc/[0-9]*; do # what the job left behind would hold its pipes open
		p=${p#/proc/}
		case " 1 $out $err " in *" $p "*) ;; *) kill -9 "$p" 2>/dev/null ;; esac
	done
	wait $out $err
	return $result
}

# The job gets /dev/hvc0 as its terminal; the window's size comes over the control port.
interactive() {
	tell stage job
	(while read -r word rows columns <&3; do
		[ "$word" = winsize ] && $BB stty rows "$rows" cols "$columns" </dev/hvc0
	done) &
	$BB setsid -c $BB sh /.vmm-lab/job </dev/hvc0 >/dev/hvc0 2>&1 3>&-
}

if [ "$1" = stage2 ]; then
	. /.vmm-lab/config
	stage2
else
	. /lab/config
	. /lab/modules
	stage1
fi
