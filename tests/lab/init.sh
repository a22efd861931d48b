#!/bin/sh
# The init of a user-mode-Linux kernel of the lab, whose root is the machine's own, read only. It makes what must be
# writable, loads the vsock modules, and then is the agent: each line of the console names a job, a script in the
# directory that is shared with the driver.
#
# Words of the kernel's command line: labshare=DIRECTORY (of the machine), labmodule=NAME (several), labpath=PATH.

run_job() {
    # shellcheck disable=SC2016  # the inner shell expands them
    setsid busybox sh -c 'echo $$ >"$1.pid"; . "./$1.sh"' sh "$1" >"$1.out" 2>"$1.err" </dev/null
    echo $? >"$1.code.new"
    mv "$1.code.new" "$1.code" # whole when it is there
}

# A program costs a tenth of a second or two to start in such a kernel; busybox runs its applets within itself.
if [ "$1" = agent ]; then
    while read -r job; do
        run_job "$job" &
    done
fi

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/shm
mount -t tmpfs -o mode=1777,size=95% tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/lab /run/data
ip link set lo up

# What jobs print is seen by the driver soon, not after half a minute.
echo 5 >/proc/sys/vm/dirty_expire_centisecs
echo 5 >/proc/sys/vm/dirty_writeback_centisecs

path=
modules=
read -r words </proc/cmdline
case " $words " in
*" labvsock "*) ;;
*) echo "init.sh: this kernel is none of the lab's" && exit 1 ;; # its vsock device may lead anywhere
esac
for word in $words; do
    case $word in
    labshare=*) mount -t hostfs none /run/lab -o "${word#labshare=}" ;;
    labmodule=*) modules="$modules ${word#labmodule=}" ;;
    labpath=*) path=${word#labpath=} ;;
    esac
done
for module in $modules; do
    busybox insmod "/usr/lib/uml/modules/$(uname -r)/kernel/net/vmw_vsock/$module.ko" || echo "no module $module"
done

export PATH="$path:$PATH" HOME=/dev/shm TMPDIR=/dev/shm LC_ALL=C.UTF-8
cd /run/lab || exit

stty -echo # of the numbers of jobs, into the log
echo "lab: ready"
exec busybox sh "$0" agent
