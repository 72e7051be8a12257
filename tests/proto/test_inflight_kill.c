/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device process is killed, again and again, while it keeps requests and gives back others;
 * each time another one takes over with the in-flight memory which the front-end has kept.
 * Each request must come back exactly once, and each process must get what
 * is outstanding in the order in which the driver sent it.
 *
 * LIBVHOST_TEST_SEED repeats a run, as far as the scheduler lets it.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend/fe_migrate.h"
#include "frontend/frontend.h"
#include "libvhost.h"
#include "tests/tap.h"
#include "util.h"

#define ROUNDS 150
#define SIZE 32u
#define QUEUES 2u
#define FEATURES (FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1))

static uint64_t rng;

static unsigned int random_below(unsigned int n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned int)(rng >> 33) % n;
}

/*
 * The device, in a process of its own: it keeps requests for a while and gives them back in
 * any order.
 */

/* What the process tells about itself, in shared memory. */
struct diary {
	unsigned int pops[QUEUES];
	uint64_t seq[QUEUES][4096];	/* of the requests, in the order of popping */
};

struct keeper {
	struct diary *diary;
	struct vhost_req *held[QUEUES][SIZE];
	unsigned int nheld[QUEUES];
};

static void keeper_pop(struct keeper *k, struct vhost_queue *q, unsigned int i)
{
	struct diary *d = k->diary;
	struct vhost_req *req;
	uint64_t seq;

	while (vhost_queue_pop(q, &req, 1)) {
		if (!random_below(16)) {
			vhost_queue_unpop(q, 1);
			vhost_queue_again(q);
			return;
		}
		vhost_req_read(req, 0, &seq, sizeof(seq));
		if (d->pops[i] < ARRAY_SIZE(d->seq[i]))
			d->seq[i][d->pops[i]++] = seq;
		k->held[i][k->nheld[i]++] = req;
	}
}

/* Give back n requests, any of those which are held. */
static void keeper_push(struct keeper *k, unsigned int i, unsigned int n)
{
	for (; n && k->nheld[i]; n--) {
		unsigned int at = random_below(k->nheld[i]);
		uint64_t seq;

		vhost_req_read(k->held[i][at], 0, &seq, sizeof(seq));
		vhost_req_write(k->held[i][at], 0, &seq, sizeof(seq));
		vhost_req_push(k->held[i][at], sizeof(seq));
		k->held[i][at] = k->held[i][--k->nheld[i]];
	}
}

static void keeper_kick(struct vhost_queue *q)
{
	struct keeper *k = vhost_queue_opaque(q);
	unsigned int i = vhost_queue_index(q);

	keeper_pop(k, q, i);
	keeper_push(k, i, random_below(4));
	vhost_queue_again(q);
}

static void keeper_stop(struct vhost_queue *q)
{
	keeper_push(vhost_queue_opaque(q), vhost_queue_index(q), SIZE);
}

/* With its own generator: it is forked with the same state. */
static void keeper_run(struct diary *diary, int fd, unsigned int round)
{
	static struct keeper k;
	const struct vhost_dev_ops ops = { .kick = keeper_kick, .queue_stop = keeper_stop };
	const struct vhost_dev_params params = {
		.queues = QUEUES,
		.queue_size_max = SIZE,
		.flags = VHOST_DEV_INFLIGHT,
	};
	struct vhost_worker *worker;
	struct vhost_dev *dev;

	rng ^= round;
	k.diary = diary;
	if (vhost_worker_new(&worker, NULL) || vhost_dev_new(&dev, &ops, &params, &k) ||
	    vhost_dev_attach(dev, worker, fd))
		_exit(1);
	vhost_worker_run(worker);
	_exit(1);
}

/*
 * The front-end
 */

struct test {
	struct fe fe;
	struct fe_mem mem;
	struct fe_ring ring[QUEUES], *list[QUEUES];
	struct vu_inflight inflight;
	int inflight_fd;		/* -1: not got yet */
	uint64_t features, next;	/* number of the next request */
	struct request {
		uint64_t out, in;	/* guest memory: the number, there and back */
		bool busy;
	} *reqs[QUEUES];		/* SIZE of them, in guest memory */
	uint64_t numbers[QUEUES][SIZE];	/* of those which are outstanding */
	struct diary *diary;
	pid_t pid;
	uint64_t done;
};

static void test_init(struct test *t, uint64_t format)
{
	unsigned int i;

	memset(t, 0, sizeof(*t));
	t->inflight_fd = -1;
	t->features = FEATURES | format;
	t->next = 1;
	t->diary = mmap(NULL, sizeof(*t->diary), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(t->diary, MAP_FAILED);
	ck_assert_int_eq(fe_mem_init(&t->mem, 0, 1 << 20), 0);
	for (i = 0; i < QUEUES; i++) {
		const struct fe_ring_params params = {
			.index = i,
			.size = SIZE,
			.features = t->features,
			.base = format ? FE_PACKED_BASE : 65500,
		};

		ck_assert_int_eq(fe_ring_init(&t->ring[i], &t->mem, &params), 0);
		t->list[i] = &t->ring[i];
		t->reqs[i] = fe_mem_alloc(&t->mem, SIZE * sizeof(struct request), 64);
	}
}

static void test_exit(struct test *t)
{
	unsigned int i;

	for (i = 0; i < QUEUES; i++)
		fe_ring_free(&t->ring[i]);
	fe_mem_free(&t->mem);
	close(t->inflight_fd);
	munmap(t->diary, sizeof(*t->diary));
}

static void test_begin(struct test *t, unsigned int round)
{
	int fd;

	memset(t->diary, 0, sizeof(*t->diary));
	ck_assert_int_eq(fe_pair(&t->fe, &fd), 0);
	fflush(stdout);
	t->pid = fork();
	ck_assert_int_ge(t->pid, 0);
	if (!t->pid) {
		close(t->fe.fd);
		keeper_run(t->diary, fd, round);
	}
	close(fd);
	ck_assert_int_eq(fe_negotiate(&t->fe, t->features, ~UINT64_C(0)), 0);
	ck_assert_int_eq(fe_set_features(&t->fe, t->fe.features), 0);
	if (t->inflight_fd < 0) {
		t->inflight.num_queues = QUEUES;
		t->inflight.queue_size = SIZE;
		ck_assert_int_eq(fe_get_inflight_fd(&t->fe, &t->inflight, &t->inflight_fd), 0);
	}
	ck_assert_int_eq(fe_set_inflight_fd(&t->fe, &t->inflight, t->inflight_fd), 0);
	ck_assert_int_eq(fe_start(&t->fe, &t->mem, t->list, QUEUES), 0);
}

static void test_kill(struct test *t)
{
	int status;

	ck_assert_int_eq(kill(t->pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(t->pid, &status, 0), t->pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	fe_close(&t->fe);
}

/* Add a request to ring i, if there is room: one or two descriptors. */
static bool test_add(struct test *t, unsigned int i)
{
	struct request *r = t->reqs[i];
	struct iovec out, in;

	for (; r < t->reqs[i] + SIZE && r->busy; r++)
		;
	if (r == t->reqs[i] + SIZE)
		return false;
	r->out = t->next;
	r->in = 0;
	out = (struct iovec){ &r->out, sizeof(r->out) };
	in = (struct iovec){ &r->in, sizeof(r->in) };
	if (fe_ring_add(&t->ring[i], &out, 1, &in, 1, r) < 0)
		return false;
	r->busy = true;
	t->numbers[i][r - t->reqs[i]] = t->next++;
	return true;
}

static void test_get(struct test *t, unsigned int i)
{
	struct request *r;
	uint32_t len;
	void *cookie;
	int ret;

	/* -EPROTO: what is not outstanding, or no more. */
	while ((ret = fe_ring_get(&t->ring[i], &cookie, &len)) == 1) {
		r = cookie;
		ck_assert(r->busy);
		ck_assert_uint_eq(len, sizeof(r->in));
		ck_assert_uint_eq(r->in, t->numbers[i][r - t->reqs[i]]);
		r->busy = false;
		t->numbers[i][r - t->reqs[i]] = 0;
		t->done++;
	}
	ck_assert_int_eq(ret, 0);
}

/* Keep both rings busy until this many requests more have come back. */
static void test_load(struct test *t, unsigned int count)
{
	uint64_t until = t->done + count;
	unsigned int i, n;

	while (t->done < until) {
		i = random_below(QUEUES);
		for (n = random_below(8); n && test_add(t, i); n--)
			;
		fe_ring_submit(&t->ring[i]);
		test_get(t, i);
	}
}

/* In each process: in order, and nothing twice. */
static void check_diary(const struct test *t)
{
	unsigned int i, n;

	for (i = 0; i < QUEUES; i++) {
		for (n = 1; n < t->diary->pops[i]; n++)
			ck_assert_uint_lt(t->diary->seq[i][n - 1], t->diary->seq[i][n]);
	}
}

/* All come back, and nothing else. */
static void test_finish(struct test *t)
{
	unsigned int i;

	for (i = 0; i < QUEUES; i++) {
		while (t->ring[i].outstanding) {
			ck_assert_int_eq(fe_ring_wait(&t->ring[i], FE_TIMEOUT_MS), 0);
			test_get(t, i);
		}
	}
	ck_assert_int_eq(fe_stop(&t->fe, t->list, QUEUES), 0);
	for (i = 0; i < QUEUES; i++)
		test_get(t, i);
}

/* proves: inflight.once, inflight.order, inflight.packed, session.reconnect */
START_TEST(killed_under_load)
{
	const char *seed = getenv("LIBVHOST_TEST_SEED");
	unsigned int round, lost = 0, i, k;
	struct test t;

	rng = seed ? strtoull(seed, NULL, 0) : (uint64_t)getpid() << 20 | 1;
	printf("# seed %#lx\n", (unsigned long)rng);
	test_init(&t, _i ? FE_BIT(VIRTIO_F_RING_PACKED) : 0);
	for (round = 0; round < ROUNDS; round++) {
		test_begin(&t, round);
		test_load(&t, 1 + random_below(60));
		test_kill(&t);
		check_diary(&t);
		for (i = 0; i < QUEUES; i++) {
			for (k = 0; k < SIZE; k++)
				lost += t.reqs[i][k].busy;
		}
	}
	/* Otherwise nothing was tried. */
	ck_assert_uint_gt(lost, ROUNDS);
	test_begin(&t, round);
	test_load(&t, 100);
	test_finish(&t);
	check_diary(&t);
	test_kill(&t);
	ck_assert_uint_eq(t.done + 1, t.next);
	test_exit(&t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inflight_kill");
	TCase *tc = tcase_create("kill");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, killed_under_load, 0, 2);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
