/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers: rounds on an event_base, a mailbox, busy polling, threads.
 *
 * Everything that a queue, its requests and a device's control path do happens
 * on a worker, and nothing of it needs a lock, because a worker is one thread at
 * a time.  Other threads reach it through the mailbox only: a list to which
 * anybody pushes with one atomic operation and which the worker takes as a whole.
 *
 * A round is: events which are ready, the mail, members which asked to be called
 * again, and then the end, in which each touched member publishes what it has
 * gathered.  When the library drives the base (vhost_worker_run) the end simply
 * follows event_base_loop().  When the caller dispatches his own base, an event
 * stands for it: the first touch activates end_ev, which libevent runs behind
 * the callbacks that are active already; again_ev is a timer of zero length, so
 * that other events get their turn before it.
 *
 * A worker which polls looks at its members and pollers instead of sleeping, and now and then at
 * its base, until nothing was found for a while (window.c tells how long, and that it depends on
 * what the last round was for); only then it lets its members ask for notifications and sleeps.
 * When it wakes and is going to poll, they take that back before they give anything to their
 * drivers, so that these need not kick.
 */
#include "worker.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "util.h"
#include "window.h"

/* Looks between two at the clock.  One which finds something counts for several. */
#define POLL_BATCH	32
#define POLL_FOUND	8

/* ns between two looks at the event_base while it polls, which are system calls. */
#define POLL_BASE_NS	10000

/* For whom a worker waits; each has a window of its own. */
enum wait {
	WAIT_DRIVER,			/* it has got something back, and may send more */
	WAIT_STORE,			/* or who else works for the device: he has all that came */
	WAITS
};

/* The part of the driver's window which waiting for a store is worth. */
#define POLL_STORE_PART	8u

LIST_HEAD(member_list, round_member);

struct vhost_worker {
	struct event_base *base;
	bool own_base;			/* to be freed with the worker */
	pthread_t thread;		/* dispatches a caller's base, or was started by us */
	bool started;			/* by vhost_worker_start(): thread is to be joined */
	char name[16];			/* of that thread */

	/* any thread */
	_Atomic(struct vhost_work *) mail;
	atomic_bool running;		/* within vhost_worker_run() */
	atomic_bool stop;
	int mail_fd;			/* eventfd, written when mail comes; never read, since
					 * its event is edge-triggered */

	/* the worker's own */
	struct event *mail_ev, *end_ev, *again_ev;
	struct member_list members, touched, again;
	struct vhost_poller *pollers;
	struct poll_window windows[WAITS];
	struct poll_window *window;	/* the one of them which counts at the moment */
	bool polls;			/* between a finding and the end of the window */
	uint64_t busy_at;		/* the last finding or wake-up, as worker_now(); with polling */
};

/* The worker which the library runs on this thread. */
static __thread struct vhost_worker *worker_current;

static bool worker_is_current(const struct vhost_worker *w)
{
	if (w->own_base)
		return worker_current == w || !atomic_load(&w->running);
	return pthread_equal(w->thread, pthread_self());
}

/*
 * Mailbox
 */

void vhost_worker_post(struct vhost_worker *w, struct vhost_work *work)
{
	struct vhost_work *head = atomic_load_explicit(&w->mail, memory_order_relaxed);
	const uint64_t one = 1;

	do {
		work->next = head;
	} while (!atomic_compare_exchange_weak_explicit(&w->mail, &head, work,
							memory_order_release,
							memory_order_relaxed));
	/* Whoever made the mailbox non-empty wakes; EAGAIN means that it is awake. */
	if (!head && write(w->mail_fd, &one, sizeof(one)) < 0)
		return;
}

static void worker_read_mail(struct vhost_worker *w)
{
	struct vhost_work *work, *next, *fifo = NULL;

	if (!atomic_load_explicit(&w->mail, memory_order_relaxed))
		return;
	work = atomic_exchange_explicit(&w->mail, NULL, memory_order_acquire);
	for (; work; work = next) {
		next = work->next;
		work->next = fifo;
		fifo = work;
	}
	for (work = fifo; work; work = next) {
		next = work->next;	/* fn may free or post its work */
		work->fn(work);
	}
}

struct worker_call {
	struct vhost_work work;
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

static void worker_run_call(struct vhost_work *work)
{
	struct worker_call *call = container_of(work, struct worker_call, work);

	call->fn(call->arg);
	sem_post(&call->done);
}

void vhost_worker_call(struct vhost_worker *w, void (*fn)(void *arg), void *arg)
{
	struct worker_call call = { .work.fn = worker_run_call, .fn = fn, .arg = arg };

	if (worker_is_current(w)) {
		fn(arg);
		return;
	}
	sem_init(&call.done, 0, 0);
	vhost_worker_post(w, &call.work);
	while (sem_wait(&call.done) && errno == EINTR)
		;
	sem_destroy(&call.done);
}

/*
 * Rounds
 */

void worker_join(struct vhost_worker *w, struct round_member *m)
{
	m->worker = w;
	m->joined = true;
	LIST_INSERT_HEAD(&w->members, m, member_entry);
}

void worker_leave(struct round_member *m)
{
	if (m->joined)
		LIST_REMOVE(m, member_entry);
	if (m->touched)
		LIST_REMOVE(m, touched_entry);
	if (m->again)
		LIST_REMOVE(m, again_entry);
	m->joined = m->touched = m->again = false;
}

void worker_touch_first(struct round_member *m)
{
	struct vhost_worker *w = m->worker;

	if (!w->own_base && LIST_EMPTY(&w->touched))
		event_active(w->end_ev, 0, 0);
	m->touched = true;
	LIST_INSERT_HEAD(&w->touched, m, touched_entry);
}

void worker_again(struct round_member *m)
{
	static const struct timeval now = { 0, 0 };
	struct vhost_worker *w = m->worker;

	if (m->again)
		return;
	if (!w->own_base && LIST_EMPTY(&w->again))
		event_add(w->again_ev, &now);
	m->again = true;
	LIST_INSERT_HEAD(&w->again, m, again_entry);
}

bool worker_polls(const struct vhost_worker *w)
{
	return w->polls;
}

/* Call those who asked in an earlier round; who asks now is for the next one. */
static void worker_call_again(struct vhost_worker *w)
{
	struct member_list list = w->again;
	struct round_member *m;

	LIST_INIT(&w->again);
	if (!LIST_EMPTY(&list))
		LIST_FIRST(&list)->again_entry.le_prev = &LIST_FIRST(&list);
	while ((m = LIST_FIRST(&list))) {
		LIST_REMOVE(m, again_entry);
		m->again = false;
		m->ops->again(m);
	}
}

static void worker_end_round(struct vhost_worker *w)
{
	enum round_result result, most = ROUND_NOTHING;
	struct round_member *m;

	while ((m = LIST_FIRST(&w->touched))) {
		LIST_REMOVE(m, touched_entry);
		m->touched = false;
		result = m->ops->end(m);
		most = MAX(most, result);
	}
	if (most != ROUND_NOTHING)
		w->window = &w->windows[most == ROUND_GAVE ? WAIT_DRIVER : WAIT_STORE];
}

static void worker_mail_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	worker_read_mail(arg);
}

static void worker_end_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	worker_end_round(arg);
}

static void worker_again_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	worker_call_again(arg);
}

/*
 * Polling
 */

uint64_t worker_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Look once at everything; whether there was something to do. */
static bool worker_poll_once(struct vhost_worker *w)
{
	struct vhost_poller *p, *next_poller;
	struct round_member *m, *next;
	bool found = false;

	for (m = LIST_FIRST(&w->members); m; m = next) {
		next = LIST_NEXT(m, member_entry);
		found |= m->ops->poll(m);
	}
	for (p = w->pollers; p; p = next_poller) {
		next_poller = p->next;
		found |= p->poll(p);
	}
	return found;
}

/* Some looks within one window; whether one of them found something. */
static bool worker_poll_some(struct vhost_worker *w, unsigned int n)
{
	const struct poll_window *window = w->window;
	bool found = false;

	while (n && w->window == window) {
		if (worker_poll_once(w)) {
			found = true;
			worker_end_round(w);
			n -= MIN(n, POLL_FOUND);
		} else {
			cpu_relax();
			n--;
		}
		if (atomic_load_explicit(&w->mail, memory_order_relaxed))
			break;
	}
	return found;
}

/* Whether the base has to wait: nobody asked to be called again, and no mail is there. */
static bool worker_may_poll_on(const struct vhost_worker *w)
{
	return LIST_EMPTY(&w->again) && !atomic_load_explicit(&w->mail, memory_order_relaxed);
}

/* Poll a while.  Afterwards either the window is over or the base wants a look. */
static void worker_poll_batch(struct vhost_worker *w)
{
	/* Who asked to be called again has work: there is no time to lose. */
	const bool again = !LIST_EMPTY(&w->again);
	uint64_t now = w->busy_at, base_at = 0;

	do {
		struct poll_window *window = w->window;

		if (!window->len) {
			w->polls = false;
			return;
		}
		if (worker_poll_some(w, again ? 1 : POLL_BATCH)) {
			w->busy_at = now = worker_now();
			poll_hit(window);
		} else if (again) {
			w->busy_at = now = worker_now();
		} else {
			now = worker_now();
			if (now - w->busy_at >= window->len) {
				poll_miss(window);
				w->polls = false;
				return;
			}
		}
		base_at = base_at ? base_at : now + POLL_BASE_NS;
	} while (now < base_at && worker_may_poll_on(w));
}

/* Members ask for notifications again, and may find that something slipped in. */
static void worker_rest(struct vhost_worker *w)
{
	struct round_member *m;

	LIST_FOREACH(m, &w->members, member_entry)
		m->ops->rest(m);
}

/* Events which are ready. */
static void worker_dispatch(struct vhost_worker *w, bool block)
{
	event_base_loop(w->base, (block ? EVLOOP_ONCE : EVLOOP_NONBLOCK) |
				 EVLOOP_NO_EXIT_ON_EMPTY);
}

/* What follows: the rest of a round whose events have been dispatched. */
static void worker_finish_round(struct vhost_worker *w)
{
	worker_call_again(w);
	worker_end_round(w);
}

static bool worker_can_poll(const struct vhost_worker *w)
{
	return w->windows[WAIT_DRIVER].max && !LIST_EMPTY(&w->members);
}

/* A round which begins with sleep.  Afterwards, the worker may poll. */
static void worker_sleep(struct vhost_worker *w)
{
	const uint64_t before = w->busy_at;
	bool expected, polls = false;

	/* If it is going to look, nobody who gets something from it need kick it. */
	w->polls = expected = worker_can_poll(w) && w->windows[WAIT_DRIVER].len;
	worker_dispatch(w, true);
	worker_finish_round(w);
	if (worker_can_poll(w)) {
		w->busy_at = worker_now();
		polls = poll_wake(w->window, w->busy_at - before);
	}
	w->polls = polls;
	if (expected && !polls)
		worker_rest(w);
}

static void worker_round(struct vhost_worker *w)
{
	if (w->polls) {
		worker_poll_batch(w);
		if (!w->polls)
			worker_rest(w);
	}
	if (!w->polls && LIST_EMPTY(&w->again) && LIST_EMPTY(&w->touched)) {
		worker_sleep(w);
	} else {
		worker_dispatch(w, false);
		worker_finish_round(w);
	}
}

void vhost_worker_set_poll(struct vhost_worker *w, unsigned int usec)
{
	const uint64_t max = usec * UINT64_C(1000);

	poll_set(&w->windows[WAIT_DRIVER], max);
	poll_set(&w->windows[WAIT_STORE], max / POLL_STORE_PART);
}

void vhost_worker_add_poller(struct vhost_worker *w, struct vhost_poller *poller)
{
	poller->next = w->pollers;
	w->pollers = poller;
}

void vhost_worker_del_poller(struct vhost_worker *w, struct vhost_poller *poller)
{
	struct vhost_poller **p;

	for (p = &w->pollers; *p; p = &(*p)->next) {
		if (*p == poller) {
			*p = poller->next;
			return;
		}
	}
}

/*
 * Life
 */

int vhost_worker_run(struct vhost_worker *w)
{
	struct vhost_worker *outer = worker_current;

	if (!w->own_base)
		return -EINVAL;
	worker_current = w;
	atomic_store(&w->running, true);
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed))
		worker_round(w);
	worker_read_mail(w);
	worker_end_round(w);
	atomic_store(&w->stop, false);
	atomic_store(&w->running, false);
	worker_current = outer;
	return 0;
}

static void *worker_thread(void *arg)
{
	struct vhost_worker *w = arg;

	/* By itself: from elsewhere that takes a file of /proc, which a sandbox may not allow. */
	pthread_setname_np(pthread_self(), w->name);
	vhost_worker_run(w);
	return NULL;
}

/* All signals but those which a fault of this very thread raises. */
static void worker_block_signals(sigset_t *old)
{
	static const int faults[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP };
	sigset_t set;
	size_t i;

	sigfillset(&set);
	for (i = 0; i < ARRAY_SIZE(faults); i++)
		sigdelset(&set, faults[i]);
	pthread_sigmask(SIG_SETMASK, &set, old);
}

int vhost_worker_start(struct vhost_worker *w, const char *name)
{
	sigset_t old;
	int ret;

	if (!w->own_base || w->started)
		return -EINVAL;
	/* From now on another thread's call must wait for the mailbox. */
	atomic_store(&w->running, true);
	snprintf(w->name, sizeof(w->name), "%s", name);
	worker_block_signals(&old);
	ret = pthread_create(&w->thread, NULL, worker_thread, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret) {
		atomic_store(&w->running, false);
		return -ret;
	}
	w->started = true;
	return 0;
}

void vhost_worker_stop(struct vhost_worker *w)
{
	const uint64_t one = 1;

	atomic_store(&w->stop, true);
	if (write(w->mail_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return;
	if (w->started && worker_current != w) {
		pthread_join(w->thread, NULL);
		w->started = false;
	}
}

static struct event_base *worker_new_base(void)
{
	struct event_config *cfg = event_config_new();
	struct event_base *base = NULL;

	if (!cfg)
		return NULL;
	if (!event_config_require_features(cfg, EV_FEATURE_ET) &&
	    !event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK))
		base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	return base;
}

static int worker_new_events(struct vhost_worker *w)
{
	w->mail_ev = event_new(w->base, w->mail_fd, EV_READ | EV_PERSIST | EV_ET,
			       worker_mail_event, w);
	w->end_ev = event_new(w->base, -1, 0, worker_end_event, w);
	w->again_ev = event_new(w->base, -1, 0, worker_again_event, w);
	if (!w->mail_ev || !w->end_ev || !w->again_ev || event_add(w->mail_ev, NULL))
		return -ENOMEM;
	return 0;
}

int vhost_worker_new(struct vhost_worker **worker, struct event_base *base)
{
	struct vhost_worker *w;
	int ret;

	/* Kicks and mail rely on edge-triggered events, which epoll has. */
	if (base && !(event_base_get_features(base) & EV_FEATURE_ET))
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->window = &w->windows[WAIT_DRIVER];
	w->own_base = !base;
	w->base = base ? base : worker_new_base();
	w->thread = pthread_self();
	w->mail_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->mail_fd < 0)
		ret = -errno;
	else
		ret = w->base ? worker_new_events(w) : -ENOMEM;
	if (ret) {
		vhost_worker_free(w);
		return ret;
	}
	*worker = w;
	return 0;
}

void vhost_worker_free(struct vhost_worker *w)
{
	struct event *const events[] = { w->mail_ev, w->end_ev, w->again_ev };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		if (events[i])
			event_free(events[i]);
	}
	close_fd(&w->mail_fd);
	if (w->own_base && w->base)
		event_base_free(w->base);
	free(w);
}

struct event_base *vhost_worker_base(struct vhost_worker *w)
{
	return w->base;
}
