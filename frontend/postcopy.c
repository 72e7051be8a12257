/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The destination's front-end in postcopy: pages are brought when the back-end needs them.
 *
 * The back-end gives its userfaultfd away, and with it who holds it may place pages in the
 * back-end's mapping.  UFFDIO_COPY does that at once for all who have the file mapped, and fails
 * with EEXIST where there is a page already; so nobody needs to remember which pages have come.
 */
#include "config.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "frontend/deadline.h"
#include "frontend/fe_migrate.h"

static uint64_t postcopy_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

int fe_postcopy_begin(struct fe_postcopy *pc, struct fe *fe)
{
	pthread_condattr_t attr;
	int err;

	*pc = (struct fe_postcopy){ .uffd = -1, .wake_fd = -1 };
	pthread_mutex_init(&pc->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pc->changed, &attr);
	pthread_condattr_destroy(&attr);
	err = fe_postcopy_advise(fe, &pc->uffd);
	return err ? err : fe_postcopy_listen(fe);
}

/* Nobody waits for this page any more. */
static void postcopy_wake(struct fe_postcopy *pc, uint64_t addr)
{
	struct uffdio_range range = { .start = addr, .len = postcopy_page_size() };

	ioctl(pc->uffd, UFFDIO_WAKE, &range);
}

/* Bring the page at off of region i.  1: it has come, 0: it was there. */
static int postcopy_place(struct fe_postcopy *pc, unsigned int i, uint64_t off)
{
	struct uffdio_copy copy;

	do {
		copy = (struct uffdio_copy){
			.dst = pc->bases[i] + off,
			.src = (uintptr_t)pc->source->regions[i].ptr + off,
			.len = postcopy_page_size(),
		};
		if (!ioctl(pc->uffd, UFFDIO_COPY, &copy))
			return 1;
		/* EAGAIN: the back-end's mappings are changing right now. */
	} while (errno == EAGAIN);
	if (errno != EEXIST)
		return -errno;
	postcopy_wake(pc, copy.dst);
	return 0;
}

/* The region where the back-end's address is; mem->num: none. */
static unsigned int postcopy_region(const struct fe_postcopy *pc, uint64_t addr)
{
	unsigned int i = 0;

	while (i < pc->mem->num && addr - pc->bases[i] >= pc->mem->regions[i].size)
		i++;
	return i;
}

static void postcopy_resolve(struct fe_postcopy *pc, uint64_t addr)
{
	unsigned int i = postcopy_region(pc, addr);
	int placed;

	pthread_mutex_lock(&pc->lock);
	pc->faults++;
	pthread_cond_broadcast(&pc->changed);
	while (pc->held)
		pthread_cond_wait(&pc->changed, &pc->lock);
	/* An address which it never told us is its own fault: it waits for ever. */
	if (i < pc->mem->num) {
		placed = postcopy_place(pc, i, (addr - pc->bases[i]) & ~(postcopy_page_size() - 1));
		pc->pages += placed == 1;
	}
	pthread_mutex_unlock(&pc->lock);
}

static void *postcopy_run(void *arg)
{
	struct fe_postcopy *pc = arg;
	struct pollfd fds[2] = {
		{ .fd = pc->uffd, .events = POLLIN }, { .fd = pc->wake_fd, .events = POLLIN },
	};
	struct uffd_msg msg;

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[1].revents || (fds[0].revents & ~POLLIN))
			return NULL;
		if (fds[0].revents && read(pc->uffd, &msg, sizeof(msg)) == sizeof(msg) &&
		    msg.event == UFFD_EVENT_PAGEFAULT)
			postcopy_resolve(pc, msg.arg.pagefault.address);
	}
}

static int postcopy_tell(struct fe_postcopy *pc, struct fe *fe, bool by_region)
{
	unsigned int i;
	int err = 0;

	if (!by_region)
		return fe_postcopy_set_mem_table(fe, pc->mem, pc->bases);
	for (i = 0; i < pc->mem->num && !err; i++)
		err = fe_postcopy_add_mem_reg(fe, &pc->mem->regions[i], &pc->bases[i]);
	return err;
}

int fe_postcopy_start(struct fe_postcopy *pc, struct fe *fe, const struct fe_mem *mem,
		      const struct fe_mem *source, bool by_region)
{
	int err;

	pc->mem = mem;
	pc->source = source;
	pc->bases = calloc(mem->num, sizeof(*pc->bases));
	pc->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!pc->bases || pc->wake_fd < 0)
		return -ENOMEM;
	err = postcopy_tell(pc, fe, by_region);
	if (err)
		return err;
	err = -pthread_create(&pc->thread, NULL, postcopy_run, pc);
	if (err)
		return err;
	pc->running = true;
	return fe_postcopy_go_ahead(fe, by_region ? VU_ADD_MEM_REG : VU_SET_MEM_TABLE);
}

void fe_postcopy_hold(struct fe_postcopy *pc, bool hold)
{
	pthread_mutex_lock(&pc->lock);
	pc->held = hold;
	pthread_cond_broadcast(&pc->changed);
	pthread_mutex_unlock(&pc->lock);
}

int fe_postcopy_wait_faults(struct fe_postcopy *pc, uint64_t num, int timeout_ms)
{
	int64_t deadline = fe_deadline(timeout_ms);
	const struct timespec until = {
		.tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000,
	};
	int err = 0;

	pthread_mutex_lock(&pc->lock);
	while (pc->faults < num && !err)
		err = -pthread_cond_timedwait(&pc->changed, &pc->lock, &until);
	err = pc->faults < num ? err : 0;
	pthread_mutex_unlock(&pc->lock);
	return err;
}

uint64_t fe_postcopy_pages(struct fe_postcopy *pc)
{
	uint64_t pages;

	pthread_mutex_lock(&pc->lock);
	pages = pc->pages;
	pthread_mutex_unlock(&pc->lock);
	return pages;
}

/* The pages from first on which begin before end, offsets in region i. */
static int postcopy_fetch_pages(struct fe_postcopy *pc, unsigned int i, uint64_t first,
				uint64_t end)
{
	int n = 0;

	for (; first < end && n >= 0; first += postcopy_page_size())
		n = postcopy_place(pc, i, first);
	return n < 0 ? n : 0;
}

int fe_postcopy_fetch(struct fe_postcopy *pc, uint64_t gpa, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < pc->mem->num; i++) {
		uint64_t off = gpa - pc->mem->regions[i].gpa;

		if (off < pc->mem->regions[i].size && len <= pc->mem->regions[i].size - off)
			return postcopy_fetch_pages(pc, i, off & ~(postcopy_page_size() - 1),
						    off + len);
	}
	return -EFAULT;
}

int fe_postcopy_fetch_all(struct fe_postcopy *pc)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < pc->mem->num && !err; i++)
		err = postcopy_fetch_pages(pc, i, 0, pc->mem->regions[i].size);
	return err;
}

/* Whoever waits for a page because of us gets it. */
static void postcopy_stop(struct fe_postcopy *pc)
{
	if (!pc->running)
		return;
	fe_postcopy_hold(pc, false);
	eventfd_write(pc->wake_fd, 1);
	pthread_join(pc->thread, NULL);
	pc->running = false;
}

int fe_postcopy_finish(struct fe_postcopy *pc, struct fe *fe)
{
	int err;

	fe_postcopy_hold(pc, false);
	err = fe_postcopy_fetch_all(pc);
	if (!err)
		err = fe_postcopy_end(fe);
	postcopy_stop(pc);
	return err;
}

void fe_postcopy_free(struct fe_postcopy *pc)
{
	postcopy_stop(pc);
	if (pc->wake_fd >= 0)
		close(pc->wake_fd);
	if (pc->uffd >= 0)
		close(pc->uffd);
	free(pc->bases);
	pthread_cond_destroy(&pc->changed);
	pthread_mutex_destroy(&pc->lock);
}
