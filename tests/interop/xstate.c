/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lets User-mode Linux run on processors with more registers than it knows of.
 *
 * To be preloaded into linux.uml.  The kernel takes the extended state of a traced process as
 * a whole only; User-mode Linux 6.1 has room for the AVX-512 registers but not for AMX's, and then
 * its first process dies.  So here the part it has is laid over the state as it is.
 */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

static long ptrace_set_part(pid_t pid, const struct iovec *part)
{
	static char state[64 << 10];
	struct iovec whole = { state, sizeof(state) };

	if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &whole))
		return -1;
	if (part->iov_len > whole.iov_len) {
		errno = EFAULT;
		return -1;
	}
	memcpy(state, part->iov_base, part->iov_len);
	return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &whole);
}

__attribute__((visibility("default")))
long ptrace(enum __ptrace_request request, ...)
{
	void *addr, *data;
	va_list ap;
	pid_t pid;
	long ret;

	va_start(ap, request);
	pid = va_arg(ap, pid_t);
	addr = va_arg(ap, void *);
	data = va_arg(ap, void *);
	va_end(ap);
	if (request == PTRACE_SETREGSET && (unsigned long)addr == NT_X86_XSTATE)
		return ptrace_set_part(pid, data);
	/* These return what they read, as the C library's function does. */
	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA ||
	    request == PTRACE_PEEKUSER) {
		data = &ret;
		if (syscall(SYS_ptrace, request, pid, addr, data))
			return -1;
		errno = 0;
		return ret;
	}
	return syscall(SYS_ptrace, request, pid, addr, data);
}
