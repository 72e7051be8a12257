/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals.
 *
 * SIGTERM and SIGINT are blocked from the beginning and read from a signalfd by
 * the control worker's loop, so they cannot strike between two steps of the start
 * and leave something behind.  They count even if the parent has them ignored, as a
 * shell does with SIGINT for what it runs in the background.
 *
 * SIGBUS comes to the thread which touches guest memory that the front-end has
 * truncated; the library deals with that.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "internal.h"

struct signal_watch {
	void (*fn)(void *arg);
	void *arg;
};

/* There is one loop which ends the process, so there is one of it. */
static struct signal_watch signal_watch;

static void signal_bus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (info->si_code > 0 && vhost_mem_fault(info->si_addr))
		return;
	/* Not ours to survive: it comes again when this function returns. */
	signal(sig, SIG_DFL);
	raise(sig);
}

static void signal_fatal_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
}

void daemon_signals_init(void)
{
	struct sigaction bus = { .sa_sigaction = signal_bus, .sa_flags = SA_SIGINFO };
	sigset_t set;

	signal_fatal_set(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGBUS, &bus, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* A file size limit is an I/O error of the guest, as a full disk is. */
	signal(SIGXFSZ, SIG_IGN);
}

static void signal_event(evutil_socket_t fd, short what, void *arg)
{
	struct signal_watch *watch = arg;
	struct signalfd_siginfo info;

	(void)what;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	daemon_log(VHOST_LOG_INFO, "signal %u, stopping", info.ssi_signo);
	watch->fn(watch->arg);
}

int daemon_signals_watch(struct event **ev, struct event_base *base, void (*fn)(void *arg),
			 void *arg)
{
	sigset_t set;
	int fd;

	signal_watch = (struct signal_watch){ fn, arg };
	signal_fatal_set(&set);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	*ev = event_new(base, fd, EV_READ | EV_PERSIST, signal_event, &signal_watch);
	if (!*ev) {
		close(fd);
		return -ENOMEM;
	}
	if (event_add(*ev, NULL)) {
		daemon_signals_unwatch(*ev);
		*ev = NULL;
		return -ENOMEM;
	}
	return 0;
}

void daemon_signals_unwatch(struct event *ev)
{
	int fd = event_get_fd(ev);

	event_free(ev);
	close(fd);
}
