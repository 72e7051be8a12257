/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Postcopy: memory whose pages come when they are touched.
 *
 * A ring with requests in it is made in guest memory, all of which is then moved away to the
 * "source"; from there a thread with the device's userfaultfd brings page by page.  Both ways to
 * tell the memory are tried, and both formats of rings, with 0, 1 and 2 workers.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frontend/fe_migrate.h"
#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define REGION (UINT64_C(1) << 20)
#define REQUESTS 4u
#define LEN 10000u
#define ALL ~UINT64_C(0)
#define TABLE (ALL & ~FE_BIT(VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS))

struct guest {
	struct echo e;
	struct echo_rings r;
	struct fe_mem source;
	struct fe_postcopy pc;
	uint8_t *out[REQUESTS], *in[REQUESTS];
};

/*
 * The guest
 */

static void mem_up(struct fe_mem *mem)
{
	ck_assert_int_eq(fe_mem_init(mem, 0, REGION), 0);
	ck_assert_int_eq(fe_mem_add(mem, &(struct fe_region_params){ 4 * REGION, REGION }), 1);
}

static void negotiate(struct guest *g, int run, int by_region)
{
	struct fe *fe = &g->e.fe;

	memset(g, 0, sizeof(*g));
	echo_catch_sigbus();
	echo_start(&g->e, echo_run_workers(run), 0);
	ck_assert_int_eq(fe_negotiate(fe, echo_run_format(run) | FE_BIT(VIRTIO_F_VERSION_1) |
				      FE_BIT(VU_F_PROTOCOL_FEATURES), by_region ? ALL : TABLE), 0);
	ck_assert(fe->protocol_features & FE_BIT(VU_PROTOCOL_F_PAGEFAULT));
}

/* A ring in region 0, whose requests have their bytes in region 1. */
static void make_ring(struct guest *g)
{
	struct fe_ring *ring = &g->r.ring[0];
	struct fe_mem *mem = &g->r.mem;
	const struct fe_ring_params params = { .size = 16, .features = g->e.fe.features };
	unsigned int i;

	mem_up(mem);
	g->r.n = 1;
	g->r.list[0] = ring;
	ck_assert_int_eq(fe_ring_init(ring, mem, &params), 0);
	for (i = 0; i < REQUESTS; i++) {
		struct iovec o = { fe_mem_alloc_in(mem, 1, LEN, 4096), LEN };
		struct iovec n = { fe_mem_alloc_in(mem, 1, LEN, 4096), LEN };

		g->out[i] = o.iov_base;
		g->in[i] = n.iov_base;
		memset(o.iov_base, (int)i + 1, LEN);
		ck_assert_int_ge(fe_ring_add(ring, &o, 1, &n, 1, g->in[i]), 0);
	}
	fe_ring_publish(ring);
}

/* All pages go to the source. */
static void move_away(struct guest *g)
{
	unsigned int i;

	mem_up(&g->source);
	for (i = 0; i < g->r.mem.num; i++) {
		const struct fe_region *r = &g->r.mem.regions[i];

		memcpy(g->source.regions[i].ptr, r->ptr, r->size);
		ck_assert_int_eq(fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					   (off_t)r->offset, (off_t)r->size), 0);
	}
}

static void up(struct guest *g, int run, int by_region)
{
	negotiate(g, run, by_region);
	make_ring(g);
	move_away(g);
	ck_assert_int_eq(fe_postcopy_begin(&g->pc, &g->e.fe), 0);
	ck_assert_int_eq(fe_set_features(&g->e.fe, g->e.fe.features), 0);
	ck_assert_int_eq(fe_postcopy_start(&g->pc, &g->e.fe, &g->r.mem, &g->source, by_region), 0);
	ck_assert_int_eq(fe_sync(&g->e.fe), 0);
}

/* Unlike fe_start_ring() this looks at no page of the ring. */
static void set_ring(struct guest *g)
{
	struct fe_ring *ring = &g->r.ring[0];
	bool packed = ring->features & FE_BIT(VIRTIO_F_RING_PACKED);
	struct vu_vring_addr addr;

	fe_ring_get_addr(ring, &addr);
	ck_assert_int_eq(fe_set_vring_num(&g->e.fe, 0, ring->size), 0);
	ck_assert_int_eq(fe_set_vring_base(&g->e.fe, 0, packed ? FE_PACKED_BASE : 0), 0);
	ck_assert_int_eq(fe_set_vring_addr(&g->e.fe, &addr), 0);
	ck_assert_int_eq(fe_set_vring_call(&g->e.fe, 0, ring->call_fd), 0);
}

static void start_ring(struct guest *g)
{
	set_ring(g);
	ck_assert_int_eq(fe_set_vring_kick(&g->e.fe, 0, g->r.ring[0].kick_fd), 0);
}

static void run_ring(struct guest *g)
{
	start_ring(g);
	ck_assert_int_eq(fe_set_vring_enable(&g->e.fe, 0, true), 0);
}

/* The ring's pages come, so that the driver may look at them. */
static void fetch_ring(struct guest *g)
{
	ck_assert_int_eq(fe_postcopy_fetch(&g->pc, 0, g->r.mem.regions[0].used), 0);
}

static void check_requests(struct guest *g)
{
	uint8_t *in, want[LEN];
	unsigned int i;
	uint32_t used;
	void *cookie;

	for (i = 0; i < REQUESTS; i++) {
		ck_assert_int_eq(fe_ring_wait(&g->r.ring[0], FE_TIMEOUT_MS), 0);
		ck_assert_int_eq(fe_ring_get(&g->r.ring[0], &cookie, &used), 1);
		ck_assert_uint_eq(used, LEN);
		in = cookie;
		ck_assert_int_eq(fe_postcopy_fetch(&g->pc, fe_mem_gpa(&g->r.mem, in, LEN), LEN), 0);
		memset(want, (int)i + 1, LEN);
		ck_assert_mem_eq(in, want, LEN);
	}
}

static void down(struct guest *g)
{
	fe_postcopy_free(&g->pc);
	echo_down(&g->e, &g->r);
	fe_mem_free(&g->source);
	echo_stop(&g->e);
}

#define RUNS (2 * ECHO_RUNS)
#define BY_REGION(i) ((i) / ECHO_RUNS)

/*
 * Pages which come late
 */

/*
 * proves: postcopy.addresses, postcopy.end, POSTCOPY_ADVISE, POSTCOPY_LISTEN, POSTCOPY_END,
 * PROTOCOL_F_PAGEFAULT
 */
START_TEST(served_from_pages_which_come_late)
{
	struct guest g;

	up(&g, _i, BY_REGION(_i));
	run_ring(&g);
	fetch_ring(&g);
	check_requests(&g);
	/* Each page of the data, and some of the ring. */
	ck_assert_uint_gt(fe_postcopy_pages(&g.pc), REQUESTS * (LEN / 4096 + 1));
	ck_assert_int_eq(fe_postcopy_finish(&g.pc, &g.e.fe), 0);
	/* Memory as any other from now on. */
	echo_check(&g.r.ring[0], 5000);
	ck_assert_int_eq(fe_stop(&g.e.fe, g.r.list, 1), 0);
	down(&g);
}
END_TEST

/* Runs with workers for the queues. */
static int run_with_worker(int i)
{
	return i / 2 * ECHO_RUNS_SPLIT + 1 + i % 2;
}

#define WORKER_RUNS 8

static void nothing(void *arg)
{
	(void)arg;
}

/* proves: postcopy.faults */
START_TEST(the_channel_is_free_while_a_queue_waits)
{
	struct guest g;
	uint8_t config;
	int run = run_with_worker(_i);

	up(&g, run, BY_REGION(run));
	fetch_ring(&g);
	start_ring(&g);
	fe_postcopy_hold(&g.pc, true);
	/* Served without a kick, as soon as that is answered; then it waits for the data. */
	ck_assert_int_eq(fe_set_vring_enable(&g.e.fe, 0, true), 0);
	ck_assert_int_eq(fe_postcopy_wait_faults(&g.pc, 1, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_sync(&g.e.fe), 0);
	ck_assert_int_eq(fe_get_config(&g.e.fe, 0, &config, 1), 0);
	ck_assert_uint_eq(atomic_load(&g.e.pushed), 0);
	fe_postcopy_hold(&g.pc, false);
	check_requests(&g);
	down(&g);
}
END_TEST

/* The ring's own pages are missing: its start waits on the queue's worker, not on ours. */
/* proves: postcopy.faults */
START_TEST(the_control_worker_is_free_while_a_ring_starts)
{
	const struct vu_header hdr = { VU_SET_VRING_KICK, VU_VERSION | VU_NEED_REPLY, 8 };
	const uint64_t index = 0;
	struct fe_msg reply;
	struct guest g;
	int run = run_with_worker(_i);

	up(&g, run, BY_REGION(run));
	fe_postcopy_hold(&g.pc, true);
	set_ring(&g);
	ck_assert_int_eq(fe_send_raw(&g.e.fe, &hdr, &index, 8, &g.r.ring[0].kick_fd, 1), 0);
	ck_assert_int_eq(fe_postcopy_wait_faults(&g.pc, 1, FE_TIMEOUT_MS), 0);
	vhost_worker_call(g.e.control, nothing, NULL);
	ck_assert(!echo_readable(g.e.fe.fd, 0));
	fe_postcopy_hold(&g.pc, false);
	ck_assert_int_eq(fe_recv_raw(&g.e.fe, &reply), 0);
	ck_assert_uint_eq(reply.u.u64, 0);
	ck_assert_int_eq(fe_set_vring_enable(&g.e.fe, 0, true), 0);
	fetch_ring(&g);
	check_requests(&g);
	down(&g);
}
END_TEST

/* Whether the kernel would read this byte; the device's mappings are those of our process. */
static bool accessible(uint64_t addr)
{
	bool ok;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ok = write(fds[1], (const void *)(uintptr_t)addr, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return ok;
}

/* A ring which is started before there is memory, and memory which waits for the go-ahead. */
/* proves: postcopy.go-ahead */
START_TEST(nothing_is_touched_before_the_go_ahead)
{
	uint64_t bases[2];
	struct guest g;

	negotiate(&g, _i, 0);
	make_ring(&g);
	mem_up(&g.source);
	ck_assert_int_eq(fe_postcopy_begin(&g.pc, &g.e.fe), 0);
	ck_assert_int_eq(fe_set_features(&g.e.fe, g.e.fe.features), 0);
	run_ring(&g);
	ck_assert_int_eq(fe_postcopy_set_mem_table(&g.e.fe, &g.r.mem, bases), 0);
	/* A change of the queue, which would find the memory if it were in use. */
	ck_assert_int_eq(fe_set_vring_enable(&g.e.fe, 0, true), 0);
	fe_ring_kick_always(&g.r.ring[0]);
	ck_assert(!echo_readable(g.r.ring[0].call_fd, ECHO_QUIET_MS));
	ck_assert_uint_eq(atomic_load(&g.e.maps), 0);
	ck_assert(!accessible(bases[0]));
	ck_assert(!accessible(bases[1] + REGION - 1));
	ck_assert_int_eq(fe_postcopy_go_ahead(&g.e.fe, VU_SET_MEM_TABLE), 0);
	ck_assert_int_eq(fe_ring_wait(&g.r.ring[0], FE_TIMEOUT_MS), 0);
	ck_assert_uint_eq(atomic_load(&g.e.maps), 2);
	ck_assert(accessible(bases[0]));
	down(&g);
}
END_TEST

/* Memory which comes and goes while there is postcopy. */
/* proves: postcopy.go-ahead, postcopy.addresses, ADD_MEM_REG, REM_MEM_REG, NONE */
START_TEST(regions_added_and_removed_meanwhile)
{
	const struct vu_header none = { VU_NONE, VU_VERSION, 8 };
	struct fe_mem more = { 0 };
	struct fe_region *region;
	struct guest g;
	uint64_t base;

	up(&g, _i, true);
	run_ring(&g);
	fetch_ring(&g);
	check_requests(&g);
	ck_assert_int_eq(fe_mem_init(&more, 8 * REGION, REGION), 0);
	region = &more.regions[0];
	memset(region->ptr, 1, region->size);
	ck_assert_int_eq(fe_postcopy_add_mem_reg(&g.e.fe, region, &base), 0);
	/* Not as long as it is not certain what there is. */
	ck_assert_int_eq(fe_rem_mem_reg(&g.e.fe, region), -EIO);
	ck_assert_int_eq(fe_postcopy_go_ahead(&g.e.fe, VU_ADD_MEM_REG), 0);
	ck_assert_int_eq(fe_sync(&g.e.fe), 0);
	ck_assert_uint_eq(atomic_load(&g.e.maps), 3);
	ck_assert_int_eq(fe_rem_mem_reg(&g.e.fe, region), 0);
	ck_assert_uint_eq(atomic_load(&g.e.unmaps), 1);
	/* What QEMU says then, and when nothing has changed at all. */
	ck_assert_int_eq(fe_postcopy_go_ahead(&g.e.fe, VU_REM_MEM_REG), 0);
	ck_assert_int_eq(fe_send_raw(&g.e.fe, &none, "\0\0\0\0\0\0\0", 8, NULL, 0), 0);
	ck_assert_int_eq(fe_sync(&g.e.fe), 0);
	fe_mem_free(&more);
	down(&g);
}
END_TEST

/*
 * Refusals
 */

/* proves: postcopy.order, POSTCOPY_ADVISE, POSTCOPY_LISTEN, POSTCOPY_END */
START_TEST(messages_out_of_order)
{
	struct guest g;
	int fd;

	negotiate(&g, 1, 1);
	mem_up(&g.r.mem);
	ck_assert_int_eq(fe_postcopy_listen(&g.e.fe), -EIO);
	ck_assert_int_eq(fe_postcopy_end(&g.e.fe), -EIO);
	/* Memory which is there may have been touched. */
	ck_assert_int_eq(fe_start_mem(&g.e.fe, &g.r.mem), 0);
	ck_assert_int_eq(fe_postcopy_advise(&g.e.fe, &fd), 0);
	close(fd);
	ck_assert_int_eq(fe_postcopy_listen(&g.e.fe), -EIO);
	ck_assert_int_eq(fe_rem_mem_reg(&g.e.fe, &g.r.mem.regions[0]), 0);
	ck_assert_int_eq(fe_rem_mem_reg(&g.e.fe, &g.r.mem.regions[1]), 0);
	/* Again, as after a migration which has failed. */
	ck_assert_int_eq(fe_postcopy_advise(&g.e.fe, &fd), 0);
	close(fd);
	ck_assert_int_eq(fe_postcopy_listen(&g.e.fe), 0);
	ck_assert_int_eq(fe_postcopy_listen(&g.e.fe), -EIO);
	ck_assert_int_eq(fe_postcopy_advise(&g.e.fe, &fd), -EIO);
	ck_assert_int_eq(fe_postcopy_end(&g.e.fe), 0);
	ck_assert_int_eq(fe_postcopy_end(&g.e.fe), -EIO);
	/* No longer listening: memory as any other. */
	g.e.fe.mem_regs = 0;
	ck_assert_int_eq(fe_start_mem(&g.e.fe, &g.r.mem), 0);
	fe_mem_free(&g.r.mem);
	echo_stop(&g.e);
}
END_TEST

/* Without listening a go-ahead is not one. */
/* proves: postcopy.go-ahead, NONE */
START_TEST(a_go_ahead_for_nothing)
{
	static const uint32_t requests[] = { VU_NONE, VU_ADD_MEM_REG, VU_REM_MEM_REG };
	struct guest g;

	negotiate(&g, 1, 1);
	ck_assert_int_eq(fe_postcopy_go_ahead(&g.e.fe, requests[_i]), 0);
	ck_assert_int_eq(fe_wait_closed(&g.e.fe), 0);
	echo_stop(&g.e);
}
END_TEST

enum bad {
	BAD_REGION, BAD_REGION_ACK, BAD_FDS_ACK, BAD_SIZE_ACK, SECOND_TABLE, END_BEFORE_GO_AHEAD,
	BAD_GO_AHEAD, GO_AHEAD_WITH_FD, BADS
};

static void send_table(struct guest *g, uint64_t size, unsigned int nfds, uint32_t flags)
{
	struct vu_memory m = { .num_regions = 1 };
	const struct vu_header hdr = { VU_SET_MEM_TABLE, VU_VERSION | flags, 40 };
	const struct fe_region *r = &g->r.mem.regions[0];

	m.regions[0] = (struct vu_region){ 0, size, r->uva, 0 };
	ck_assert_int_eq(fe_send_raw(&g->e.fe, &hdr, &m, 40, &r->fd, nfds), 0);
}

/* An answer of "no" would be taken for the table with our addresses. */
static void send_bad(struct guest *g, enum bad bad)
{
	struct vu_header hdr = { VU_SET_MEM_TABLE, VU_VERSION, 8 };
	uint64_t v = bad == BAD_GO_AHEAD, bases[2];

	if (bad == BAD_REGION)
		send_table(g, 1ull << 40, 1, 0);
	else if (bad == BAD_REGION_ACK)
		send_table(g, 1ull << 40, 1, VU_NEED_REPLY);
	else if (bad == BAD_FDS_ACK)
		send_table(g, REGION, 0, VU_NEED_REPLY);
	if (bad <= BAD_FDS_ACK)
		return;
	if (bad == BAD_SIZE_ACK) {
		hdr.size = 4;
		hdr.flags |= VU_NEED_REPLY;
		ck_assert_int_eq(fe_send_raw(&g->e.fe, &hdr, &v, 4, NULL, 0), 0);
		return;
	}
	ck_assert_int_eq(fe_postcopy_set_mem_table(&g->e.fe, &g->r.mem, bases), 0);
	if (bad == SECOND_TABLE)
		send_table(g, REGION, 1, VU_NEED_REPLY);
	else if (bad == END_BEFORE_GO_AHEAD)
		ck_assert_int_eq(fe_postcopy_end(&g->e.fe), -ECONNRESET);
	else
		fe_send_raw(&g->e.fe, &hdr, &v, 8, &g->r.mem.regions[0].fd,
			    bad == GO_AHEAD_WITH_FD);
}

/* proves: postcopy.order, postcopy.go-ahead */
START_TEST(what_is_refused_costs_the_connection)
{
	struct guest g;
	int fd;

	negotiate(&g, 1, 0);
	mem_up(&g.r.mem);
	ck_assert_int_eq(fe_postcopy_advise(&g.e.fe, &fd), 0);
	ck_assert_int_eq(fe_postcopy_listen(&g.e.fe), 0);
	send_bad(&g, (enum bad)_i);
	ck_assert_int_eq(fe_wait_closed(&g.e.fe), 0);
	echo_wait(&g.e.downs, 1);
	ck_assert_uint_eq(atomic_load(&g.e.maps), 0);
	close(fd);
	fe_mem_free(&g.r.mem);
	echo_stop(&g.e);
}
END_TEST

/*
 * The front-end leaves
 */

enum state { ADVISED, LISTENING, STAGED, RUNNING, ENDED, STATES };

/* proves: msg.front-end-gone */
START_TEST(disconnected_in_each_state)
{
	uint64_t bases[2];
	struct guest g;
	int fd;

	negotiate(&g, 1, 0);
	mem_up(&g.r.mem);
	ck_assert_int_eq(fe_postcopy_advise(&g.e.fe, &fd), 0);
	if (_i >= LISTENING)
		ck_assert_int_eq(fe_postcopy_listen(&g.e.fe), 0);
	if (_i >= STAGED)
		ck_assert_int_eq(fe_postcopy_set_mem_table(&g.e.fe, &g.r.mem, bases), 0);
	if (_i >= RUNNING)
		ck_assert_int_eq(fe_postcopy_go_ahead(&g.e.fe, VU_SET_MEM_TABLE), 0);
	if (_i >= ENDED)
		ck_assert_int_eq(fe_postcopy_end(&g.e.fe), 0);
	ck_assert_int_eq(fe_sync(&g.e.fe), 0);
	fe_close(&g.e.fe);
	echo_wait(&g.e.downs, 1);
	close(fd);
	fe_mem_free(&g.r.mem);
	echo_stop(&g.e);
}
END_TEST

/* It keeps its userfaultfd, so nobody but us can end the wait for a page. */
/* proves: msg.front-end-gone */
START_TEST(disconnected_while_a_request_waits)
{
	int run = run_with_worker(_i);
	struct guest g;

	up(&g, run, BY_REGION(run));
	fetch_ring(&g);
	start_ring(&g);
	fe_postcopy_hold(&g.pc, true);
	ck_assert_int_eq(fe_set_vring_enable(&g.e.fe, 0, true), 0);
	ck_assert_int_eq(fe_postcopy_wait_faults(&g.pc, 1, FE_TIMEOUT_MS), 0);
	fe_close(&g.e.fe);
	echo_wait(&g.e.downs, 1);
	down(&g);
}
END_TEST

/* proves: msg.front-end-gone */
START_TEST(disconnected_while_a_ring_starts)
{
	const struct vu_header hdr = { VU_SET_VRING_KICK, VU_VERSION, 8 };
	int run = run_with_worker(_i);
	const uint64_t index = 0;
	struct guest g;

	up(&g, run, BY_REGION(run));
	fe_postcopy_hold(&g.pc, true);
	set_ring(&g);
	ck_assert_int_eq(fe_send_raw(&g.e.fe, &hdr, &index, 8, &g.r.ring[0].kick_fd, 1), 0);
	ck_assert_int_eq(fe_postcopy_wait_faults(&g.pc, 1, FE_TIMEOUT_MS), 0);
	fe_close(&g.e.fe);
	echo_wait(&g.e.downs, 1);
	down(&g);
}
END_TEST

/*
 * Without a userfaultfd
 */

static bool uffd_allowed(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	close_fd(&fd);
	return fd >= 0 || !access("/dev/userfaultfd", R_OK | W_OK);
}

/* Each test is a process of its own, which may give away what it will. */
/* proves: PROTOCOL_F_PAGEFAULT */
START_TEST(not_offered_without_permission)
{
	uint64_t features;
	struct echo e;
	int fd;

	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		fprintf(stderr, "# not tested: anybody may have a userfaultfd here\n");
		close(fd);
		return;
	}
	echo_catch_sigbus();
	echo_start(&e, 1, 0);
	ck_assert_int_eq(fe_get_protocol_features(&e.fe, &features), 0);
	ck_assert(!(features & FE_BIT(VU_PROTOCOL_F_PAGEFAULT)));
	echo_stop(&e);
}
END_TEST

/* proves: PROTOCOL_F_PAGEFAULT */
START_TEST(not_offered_when_sigbus_would_kill)
{
	uint64_t features;
	struct echo e;

	/* A sanitizer has its own. */
	signal(SIGBUS, SIG_DFL);
	echo_start(&e, 1, 0);
	ck_assert_int_eq(fe_get_protocol_features(&e.fe, &features), 0);
	ck_assert(!(features & FE_BIT(VU_PROTOCOL_F_PAGEFAULT)));
	echo_catch_sigbus();
	ck_assert_int_eq(fe_get_protocol_features(&e.fe, &features), 0);
	ck_assert(features & FE_BIT(VU_PROTOCOL_F_PAGEFAULT));
	echo_stop(&e);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("postcopy");
	TCase *tc = tcase_create("postcopy");

	if (!uffd_allowed()) {
		puts("1..0 # SKIP no permission for a userfaultfd with faults of the kernel");
		return 0;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, served_from_pages_which_come_late, 0, RUNS);
	tcase_add_loop_test(tc, the_channel_is_free_while_a_queue_waits, 0, WORKER_RUNS);
	tcase_add_loop_test(tc, the_control_worker_is_free_while_a_ring_starts, 0, WORKER_RUNS);
	tcase_add_loop_test(tc, nothing_is_touched_before_the_go_ahead, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, regions_added_and_removed_meanwhile, 0, ECHO_RUNS);
	tcase_add_test(tc, messages_out_of_order);
	tcase_add_loop_test(tc, a_go_ahead_for_nothing, 0, 3);
	tcase_add_loop_test(tc, what_is_refused_costs_the_connection, 0, BADS);
	tcase_add_loop_test(tc, disconnected_in_each_state, 0, STATES);
	tcase_add_loop_test(tc, disconnected_while_a_request_waits, 0, WORKER_RUNS);
	tcase_add_loop_test(tc, disconnected_while_a_ring_starts, 0, WORKER_RUNS);
	tcase_add_test(tc, not_offered_when_sigbus_would_kill);
	if (geteuid() == 0)
		tcase_add_test(tc, not_offered_without_permission);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
