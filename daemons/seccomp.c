/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which system calls the process can make, once all is open: a filter which all threads get.
 *
 * What is called for each request is allowed whatever its arguments are, since the kernel then
 * decides without running the filter.  Elsewhere arguments count: no memory becomes code, no
 * sockets but Unix ones, threads but no processes, known ioctls only.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox.h"
#include "util.h"

static const int seccomp_calls[] = {
	/* Data. */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev),
	SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(preadv), SCMP_SYS(pwritev),
	SCMP_SYS(preadv2), SCMP_SYS(pwritev2), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
	SCMP_SYS(fallocate), SCMP_SYS(ftruncate), SCMP_SYS(lseek),
	SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
	SCMP_SYS(io_setup), SCMP_SYS(io_destroy), SCMP_SYS(io_submit), SCMP_SYS(io_cancel),
	SCMP_SYS(io_getevents), SCMP_SYS(io_pgetevents),

	/* Descriptors and files; which ones is said by Landlock. */
	SCMP_SYS(openat), SCMP_SYS(close), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
	SCMP_SYS(fcntl), SCMP_SYS(fcntl64), SCMP_SYS(fstat), SCMP_SYS(fstat64),
	SCMP_SYS(newfstatat), SCMP_SYS(fstatat64), SCMP_SYS(lstat), SCMP_SYS(stat),
	SCMP_SYS(statx), SCMP_SYS(fstatfs), SCMP_SYS(getcwd), SCMP_SYS(readlink),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat),
	SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(memfd_create),
	SCMP_SYS(pipe2), SCMP_SYS(userfaultfd),

	/* Sockets. */
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendto),
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(connect), SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),

	/* Events and time. */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_create1), SCMP_SYS(eventfd2), SCMP_SYS(signalfd4),
	SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(restart_syscall),

	/* Memory. */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(msync),

	/* Threads and signals; which processes get one is said below. */
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack), SCMP_SYS(membarrier), SCMP_SYS(getcpu),

	/* Facts. */
	SCMP_SYS(getrandom), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(umask),
};

static const unsigned long seccomp_ioctls[] = {
	BLKGETSIZE64, BLKSSZGET, BLKPBSZGET, BLKIOOPT, BLKDISCARD, BLKZEROOUT,
	UFFDIO_API, UFFDIO_REGISTER, UFFDIO_UNREGISTER, UFFDIO_WAKE, _IO(0xAA, 0x00), FIONREAD,
	0x5401,			/* TCGETS: whether a stream is a terminal */
	0
};

static int seccomp_allow_ioctls(scmp_filter_ctx ctx, const unsigned long *list)
{
	int ret = 0;

	for (; !ret && list && *list; list++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1_32(SCMP_CMP_EQ, (uint32_t)*list));
	return ret;
}

/* What is allowed with certain arguments. */
static int seccomp_allow_some(scmp_filter_ctx ctx)
{
	const uint32_t allow = SCMP_ACT_ALLOW, thread = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;
	const uint32_t pid = (uint32_t)getpid();
	const struct {
		uint32_t action;
		int call;
		struct scmp_arg_cmp arg;
	} rules[] = {
		{ allow, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) },
		{ allow, SCMP_SYS(mmap2), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) },
		{ allow, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) },
		{ allow, SCMP_SYS(socket), SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX) },
		{ allow, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread) },
		{ allow, SCMP_SYS(prctl), SCMP_A0_32(SCMP_CMP_EQ, PR_SET_NAME) },
		{ allow, SCMP_SYS(tgkill), SCMP_A0_32(SCMP_CMP_EQ, pid) },
		/* Only to ask. */
		{ allow, SCMP_SYS(prlimit64), SCMP_A2_64(SCMP_CMP_EQ, 0) },
	};
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < ARRAY_SIZE(rules); i++)
		ret = seccomp_rule_add_array(ctx, rules[i].action, rules[i].call, 1, &rules[i].arg);
	/* Its flags are in memory, which a filter cannot see: the C library then calls clone(). */
	if (!ret)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return ret;
}

static int seccomp_fill(scmp_filter_ctx ctx, const unsigned long *ioctls)
{
	int ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	size_t i;

	for (i = 0; !ret && i < ARRAY_SIZE(seccomp_calls); i++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, seccomp_calls[i], 0);
	if (!ret)
		ret = seccomp_allow_some(ctx);
	if (!ret)
		ret = seccomp_allow_ioctls(ctx, seccomp_ioctls);
	if (!ret)
		ret = seccomp_allow_ioctls(ctx, ioctls);
	return ret;
}

int seccomp_restrict(bool log, const unsigned long *ioctls)
{
	scmp_filter_ctx ctx = seccomp_init(log ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS);
	int ret;

	if (!ctx)
		return -ENOMEM;
	ret = seccomp_fill(ctx, ioctls);
	if (!ret)
		ret = seccomp_load(ctx);
	seccomp_release(ctx);
	return ret;
}
