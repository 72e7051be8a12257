/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-flight tracking: the process is killed after each single instruction that changes the
 * memory which survives it.
 *
 * A child plays driver and device on a world in shared memory.  While the device is at work
 * the child is traced instruction by instruction, and each time the world has changed
 * a copy is recovered by a fresh device, and each request must come out exactly
 * once, in order: in one copy at once, and in another one after the driver has gone on as
 * far as it can.  States met during this are then recovered by another traced child, so that
 * the recovery is killed everywhere too.
 *
 * After that, memory with all kinds of nonsense in it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inflight_world.h"
#include "tests/tap.h"
#include "util.h"

#define TEST_SECONDS 120

/* A sanitizer makes many steps of one. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIVES 1
#define STEPS 30
#define STATES 3
#else
#define LIVES 2
#define STEPS 60
#define STATES 24
#endif

/* A small generator of our own, so that a seed means the same everywhere. */
static uint64_t rng;

static unsigned int random_below(unsigned int n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned int)(rng >> 33) % n;
}

/* The formats and sizes under test. */
static const struct layout {
	bool packed;
	unsigned int num, size;
	uint16_t base;
} layouts[] = {
	{ false, 16, 16, 0 },
	{ false, 16, 16, 65531 },	/* indices wrap */
	{ false, 8, 16, 65533 },	/* more memory than the ring needs */
	{ true, 8, 8, 0 },
	{ true, 7, 7, 0 },
	{ true, 5, 16, 0 },
	{ true, 1, 1, 0 },		/* each request goes all round */
};

static unsigned int random_chain(const struct world *w)
{
	return 1 + random_below(MIN(w->num, WORLD_CHAIN_MAX));
}

/* What the front-end says after a crash is of no use. */
static uint32_t random_base(const struct world *w)
{
	return w->packed ? 0x80008000u : random_below(1 << 16);
}

/*
 * Recovery of a copy
 */

static void check_in_order(const struct world *w, const uint32_t *seqs, unsigned int n)
{
	unsigned int i;

	ck_assert_uint_eq(n, world_outstanding(w));
	for (i = 1; i < n; i++)
		ck_assert_uint_lt(seqs[i - 1], seqs[i]);
}

/* Give them back in any order and in batches of any size. */
static void publish_all(struct world_dev *d, struct ring_elem *elems, unsigned int n,
			void (*then)(struct world *w, unsigned int batch), struct world *w)
{
	unsigned int i, batch;

	for (i = 0; i + 1 < n; i++) {
		unsigned int other = i + random_below(n - i);
		struct ring_elem e = elems[i];

		elems[i] = elems[other];
		elems[other] = e;
	}
	for (i = 0; i < n; i += batch) {
		batch = 1 + random_below(n - i);
		d->ring.ops->publish(&d->ring, elems + i, batch);
		then(w, batch);
	}
}

/* The driver has just these back then, and sees nothing else which looks used. */
static void check_reaped(struct world *w, unsigned int batch)
{
	ck_assert_int_eq(world_reap(w), (int)batch);
}

/* The device takes all there is, gives it back, and the driver has it all back then. */
static void serve_all(struct world_dev *d, struct world *w)
{
	struct ring_elem elems[WORLD_NUM_MAX];
	uint32_t seqs[WORLD_NUM_MAX];
	unsigned int n = 0;

	ck_assert_int_ge(world_reap(w), 0);
	while (d->ring.ops->avail(&d->ring, 1) > 0) {
		ck_assert_uint_lt(n, WORLD_NUM_MAX);
		ck_assert_pstr_eq(world_dev_take(d, &elems[n], &seqs[n]), NULL);
		n++;
	}
	check_in_order(w, seqs, n);
	publish_all(d, elems, n, check_reaped, w);
	ck_assert_uint_eq(world_outstanding(w), 0);
	ck_assert_int_eq(d->ring.ops->avail(&d->ring, 1), 0);
}

static void check_recovery(const struct world *snapshot, bool driver_goes_on)
{
	struct world w = *snapshot;
	struct world_dev d;
	int life;

	if (driver_goes_on) {
		ck_assert_int_ge(world_reap(&w), 0);
		while (world_add(&w, random_chain(&w)))
			;
	}
	/* Twice: nothing is left over from the first time. */
	for (life = 0; life < 2; life++) {
		ck_assert_pstr_eq(world_dev_start(&d, &w, random_base(&w)), NULL);
		serve_all(&d, &w);
		while (world_add(&w, random_chain(&w)))
			;
		serve_all(&d, &w);
		world_dev_stop(&d);
	}
}

/*
 * The traced child
 */

/* In the child: what is between these two is stepped through. */
static void mark(void)
{
	raise(SIGSTOP);
}

struct held {
	struct ring_elem elems[WORLD_NUM_MAX];
	unsigned int n;
};

static void play_take(struct world_dev *d, struct held *h)
{
	uint32_t seq;

	mark();
	if (d->ring.ops->avail(&d->ring, 1) > 0 &&
	    !world_dev_take(d, &h->elems[h->n], &seq))
		h->n++;
	mark();
}

static void play_publish(struct world_dev *d, struct held *h)
{
	struct ring_elem batch[WORLD_NUM_MAX];
	unsigned int n = 0, max = 1 + random_below(h->n);

	while (n < max) {
		unsigned int i = random_below(h->n);

		batch[n++] = h->elems[i];
		h->elems[i] = h->elems[--h->n];
	}
	mark();
	d->ring.ops->publish(&d->ring, batch, n);
	mark();
}

static void play_take_and_untake(struct world_dev *d, struct held *h)
{
	unsigned int before = h->n;

	play_take(d, h);
	if (h->n == before)
		return;
	mark();
	d->ring.ops->untake(&d->ring, &h->elems[--h->n]);
	mark();
}

/* One life of the driver and of a device which is killed in the end. */
static void play(struct world *w)
{
	struct world_dev d;
	struct held h = { .n = 0 };
	int i;

	if (world_dev_open(&d, w, w->packed ? RING_PACKED_BASE : 0))
		_exit(1);
	mark();
	if (d.ring.ops->start(&d.ring))
		_exit(1);
	mark();
	for (i = 0; i < STEPS; i++) {
		unsigned int what = random_below(8);

		if (what < 3)
			world_add(w, random_chain(w));
		else if (what < 5)
			play_take(&d, &h);
		else if (what == 5)
			play_take_and_untake(&d, &h);
		else if (what == 6 && h.n)
			play_publish(&d, &h);
		else
			world_reap(w);
	}
	_exit(0);
}

/* One recovery, from start to the first requests. */
static void play_recovery(struct world *w)
{
	struct world_dev d;

	if (world_dev_open(&d, w, random_base(w)))
		_exit(1);
	mark();
	if (d.ring.ops->start(&d.ring))
		_exit(1);
	mark();
	_exit(0);
}

/* Some of the states which were met in the middle of something: recovery has to change them. */
struct states {
	struct world worlds[STATES];
	unsigned int n, met;
};

static bool is_unfinished(const struct world *snapshot)
{
	struct world w = *snapshot;
	struct world_dev d;

	ck_assert_pstr_eq(world_dev_start(&d, &w, 0), NULL);
	world_dev_stop(&d);
	return memcmp(w.mem.region, snapshot->mem.region, sizeof(w.mem.region));
}

static void states_add(struct states *s, const struct world *w)
{
	unsigned int at;

	if (!is_unfinished(w))
		return;
	at = s->met++ < ARRAY_SIZE(s->worlds) ? s->n++ : random_below(s->met);

	if (at < ARRAY_SIZE(s->worlds))
		s->worlds[at] = *w;
}

static void check_state(const struct world *w, struct states *states)
{
	check_recovery(w, false);
	check_recovery(w, true);
	if (states)
		states_add(states, w);
}

/* Wait for the child; false: it has ended, as it should. */
static bool child_stopped(pid_t pid, int *sig)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status)) {
		ck_assert_int_eq(WEXITSTATUS(status), 0);
		return false;
	}
	ck_assert(WIFSTOPPED(status));
	*sig = WSTOPSIG(status);
	return true;
}

static void child_go(pid_t pid, int request)
{
	ck_assert_int_eq(ptrace(request, pid, NULL, NULL), 0);
}

/* Follow the child, and look at the world after each of its steps which changed the memory. */
static unsigned int trace(pid_t pid, struct world *shared, struct states *states)
{
	struct world_shared last = shared->mem;
	unsigned int changes = 0;
	bool stepping = false;
	int sig = 0;

	while (child_stopped(pid, &sig)) {
		if (sig == SIGSTOP)
			stepping = !stepping;
		if (stepping && memcmp(&last, &shared->mem, sizeof(last))) {
			last = shared->mem;
			check_state(shared, states);
			changes++;
		}
		if (!stepping)
			last = shared->mem;
		child_go(pid, stepping ? PTRACE_SINGLESTEP : PTRACE_CONT);
	}
	return changes;
}

static struct world *world_shared_new(void)
{
	struct world *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(w, MAP_FAILED);
	return w;
}

static unsigned int trace_child(struct world *w, void (*fn)(struct world *), struct states *states)
{
	pid_t pid = fork();

	int status;

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(2);
		mark();
		fn(w);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSTOPPED(status));
	/* If we fail, it must not stay. */
	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL), 0);
	child_go(pid, PTRACE_CONT);
	return trace(pid, w, states);
}

/*
 * proves: inflight.once, inflight.batch, inflight.order, inflight.base, inflight.packed,
 * packed.publish
 */
START_TEST(killed_after_each_store)
{
	const struct layout *l = &layouts[_i];
	struct states *states = calloc(1, sizeof(*states));
	struct world *w = world_shared_new();
	unsigned int i, changes;

	rng = (uint64_t)getpid() << 20 | 1;
	printf("# seed %#lx\n", (unsigned long)rng);
	world_init(w, l->packed, l->num, l->size, l->base);
	/* The generator goes on from life to life; in the child it is a copy. */
	for (i = changes = 0; i < LIVES; i++) {
		random_below(2);
		changes += trace_child(w, play, states);
		check_state(w, NULL);
	}
	ck_assert_uint_gt(changes, 10);
	for (i = changes = 0; i < states->n; i++) {
		*w = states->worlds[i];
		changes += trace_child(w, play_recovery, NULL);
		check_state(w, NULL);
	}
	ck_assert_uint_ge(changes, states->n);
	ck_assert_uint_gt(changes, 0);
	munmap(w, sizeof(*w));
	free(states);
}
END_TEST

/*
 * Nonsense
 */

/* Memory of size bytes which ends where the process may not read. */
struct guarded {
	uint8_t *start, *map;
	size_t len;
};

static void guarded_new(struct guarded *g, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), len = ALIGN_UP(size, page);

	g->len = len + 2 * page;
	g->map = mmap(NULL, g->len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(g->map, MAP_FAILED);
	ck_assert_int_eq(mprotect(g->map + page, len, PROT_READ | PROT_WRITE), 0);
	g->start = g->map + page + len - ALIGN_UP(size, 8);
}

/* Values at which something might end. */
static uint16_t odd_index(unsigned int size)
{
	const uint16_t odd[] = { 0, 1, (uint16_t)(size - 1), (uint16_t)size, (uint16_t)(size + 1),
				 0x7fff, 0x8000, 0xffff };

	return random_below(2) ? (uint16_t)random_below(size) : odd[random_below(ARRAY_SIZE(odd))];
}

static uint64_t odd_counter(void)
{
	const uint64_t odd[] = { 0, 1, 1, UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63 };

	return odd[random_below(ARRAY_SIZE(odd))];
}

static void fill_split(struct inflight_split *s, unsigned int size)
{
	unsigned int i;

	s->last_batch_head = odd_index(size);
	s->used_idx = odd_index(size);
	for (i = 0; i < size; i++) {
		s->desc[i].inflight = (uint8_t)(random_below(3) ? random_below(2) : 0xff);
		s->desc[i].next = odd_index(size);
		s->desc[i].counter = odd_counter();
	}
}

static void fill_packed(struct inflight_packed *p, unsigned int size)
{
	struct inflight_used u = { odd_index(size), odd_index(size), (uint8_t)random_below(3),
				   (uint8_t)random_below(3), { 0, 0 } };
	unsigned int i;

	memcpy(&p->used, &u, sizeof(u));
	p->free_head = odd_index(size);
	p->old_free_head = odd_index(size);
	for (i = 0; i < size; i++) {
		p->desc[i] = (struct inflight_packed_desc){
			.inflight = (uint8_t)random_below(2),
			.next = random_below(3) ? (uint16_t)(i + 1) : odd_index(size),
			.last = random_below(3) ? (uint16_t)i : odd_index(size),
			.num = random_below(3) ? 1 : odd_index(size),
			.counter = odd_counter(),
			.id = odd_index(size),
			.flags = odd_index(size),
			.len = odd_index(size),
			.addr = odd_counter(),
		};
	}
}

/* Mostly a good header; what is left of a structure behind it is filled by the above. */
static void fill_region(void *region, bool packed, unsigned int size)
{
	struct inflight_split *s = region;

	memset(region, 0, inflight_stride(packed, size));
	if (packed)
		fill_packed(region, size);
	else
		fill_split(region, size);
	s->version = random_below(8) ? INFLIGHT_VERSION : odd_index(size);
	s->desc_num = random_below(8) ? (uint16_t)size : odd_index(size);
	s->features = random_below(8) ? 0 : odd_counter();
}

static void reap_nonsense(struct world *w, unsigned int batch)
{
	(void)batch;
	world_reap(w);
}

/* Whatever a device found there, it can go on or not; it ends, and touches nothing else. */
static bool serve_nonsense(struct world *w, uint8_t *region)
{
	struct ring_elem elems[WORLD_NUM_MAX];
	struct world_dev d;
	unsigned int n = 0;
	uint32_t seq;
	const char *why;

	memcpy(w->mem.region, region, sizeof(w->mem.region));
	why = world_dev_start(&d, w, 0);
	while (!why && d.ring.ops->avail(&d.ring, 1) > 0) {
		ck_assert_uint_lt(n, WORLD_NUM_MAX);
		why = world_dev_take(&d, &elems[n++], &seq);
	}
	if (!why && n)
		publish_all(&d, elems, n, reap_nonsense, w);
	world_dev_stop(&d);
	return !why;
}

/* proves: inflight.content */
START_TEST(nonsense_never_hurts)
{
	const struct layout *l = &layouts[_i];
	uint8_t region[sizeof(((struct world *)0)->mem.region)] = { 0 };
	unsigned int i, served = 0;
	struct world w;

	rng = (uint64_t)getpid() << 20 | 1;
	printf("# seed %#lx\n", (unsigned long)rng);
	for (i = 0; i < 20000; i++) {
		world_init(&w, l->packed, l->num, l->size, l->base);
		while (world_add(&w, random_chain(&w)) && random_below(4))
			;
		fill_region(region, l->packed, l->size);
		served += serve_nonsense(&w, region);
	}
	/* Otherwise the nonsense was too coarse to get anywhere. */
	ck_assert_uint_gt(served, 0);
}
END_TEST

/* The start alone, in memory of many sizes with nothing readable behind it. */
/* proves: inflight.content */
START_TEST(nonsense_within_bounds)
{
	static const unsigned int sizes[] = { 1, 2, 3, 4, 8, 128, 1024, 32768 };
	bool packed = _i;
	static struct vring_packed_desc ring[32768];
	unsigned int i, k, count;

	rng = (uint64_t)getpid() << 20 | 1;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned int size = sizes[i];
		struct guarded g;

		guarded_new(&g, inflight_stride(packed, size));
		for (k = 0; k < 2000 / size + 3; k++) {
			struct inflight *fl = inflight_new(g.start, packed, size);
			struct inflight_start start = { .ring = ring, .num = size, .wrap = true };

			ck_assert_ptr_nonnull(fl);
			fill_region(g.start, packed, size);
			if (packed)
				inflight_packed_start(fl, &start);
			else
				inflight_split_start(fl, odd_index(size), size, &count);
			inflight_free(fl);
		}
		munmap(g.map, g.len);
	}
}
END_TEST

/*
 * The layout, byte by byte
 */

/* proves: inflight.layout */
START_TEST(split_layout_as_others_have_it)
{
	struct world w;
	struct world_dev d;
	struct ring_elem a, b;
	uint32_t seq;
	uint8_t *r = w.mem.region;

	ck_assert_uint_eq(inflight_stride(false, 128), 16 + 128 * 16 + 48);
	ck_assert_uint_eq(inflight_stride(false, 3), 64);
	world_init(&w, false, 16, 16, 7);
	ck_assert_pstr_eq(world_dev_start(&d, &w, 0), NULL);
	world_add(&w, 1);
	world_add(&w, 1);
	ck_assert_int_ge(d.ring.ops->avail(&d.ring, 2), 2);
	ck_assert_pstr_eq(world_dev_take(&d, &a, &seq), NULL);
	ck_assert_pstr_eq(world_dev_take(&d, &b, &seq), NULL);
	ck_assert_uint_eq(r[8] | r[9] << 8, 1);			/* version */
	ck_assert_uint_eq(r[10] | r[11] << 8, 16);		/* desc_num */
	ck_assert_uint_eq(r[14] | r[15] << 8, 7);		/* used_idx */
	ck_assert_uint_eq(r[16 + 16 * a.id], 1);
	ck_assert_uint_eq(r[16 + 16 * b.id], 1);
	ck_assert_uint_gt(r[16 + 16 * b.id + 8], r[16 + 16 * a.id + 8]);	/* counter */
	d.ring.ops->publish(&d.ring, &a, 1);
	ck_assert_uint_eq(r[12] | r[13] << 8, a.id);		/* last_batch_head */
	d.ring.ops->publish(&d.ring, &b, 1);
	ck_assert_uint_eq(r[12] | r[13] << 8, b.id);
	ck_assert_uint_eq(r[16 + 16 * b.id + 6], a.id);		/* next */
	ck_assert_uint_eq(r[14] | r[15] << 8, 9);
	ck_assert_uint_eq(r[16 + 16 * a.id] | r[16 + 16 * b.id], 0);
	world_dev_stop(&d);
}
END_TEST

/* proves: inflight.layout, inflight.packed */
START_TEST(packed_layout_as_others_have_it)
{
	struct world w;
	struct world_dev d;
	struct ring_elem a;
	uint32_t seq;
	uint8_t *r = w.mem.region, *e = r + 32;

	ck_assert_uint_eq(inflight_stride(true, 128), 32 + 128 * 32 + 32);
	world_init(&w, true, 5, 8, 0);
	ck_assert_pstr_eq(world_dev_start(&d, &w, 0x80008000), NULL);
	ck_assert_uint_eq(r[8] | r[9] << 8, 1);			/* version */
	ck_assert_uint_eq(r[10] | r[11] << 8, 8);		/* desc_num */
	ck_assert_uint_eq(e[2], 1);				/* next */
	ck_assert_uint_eq(e[7 * 32 + 2], 8);
	ck_assert_uint_eq(r[20] + r[21], 2);			/* wrap counters */
	world_add(&w, 3);
	ck_assert_int_ge(d.ring.ops->avail(&d.ring, 1), 1);
	ck_assert_pstr_eq(world_dev_take(&d, &a, &seq), NULL);
	ck_assert_uint_eq(e[0], 1);				/* inflight */
	ck_assert_uint_eq(e[4], 2);				/* last */
	ck_assert_uint_eq(e[6], 3);				/* num */
	ck_assert_uint_eq(r[12], 3);				/* free_head */
	ck_assert_uint_eq(r[14], 3);				/* old_free_head */
	ck_assert_mem_eq(e + 24, &w.mem.desc.packed[0].addr, 8);
	ck_assert_mem_eq(e + 20, &w.mem.desc.packed[0].len, 4);
	ck_assert_mem_eq(e + 18, &w.mem.desc.packed[0].flags, 2);
	ck_assert_mem_eq(e + 2 * 32 + 16, &w.mem.desc.packed[2].id, 2);
	d.ring.ops->publish(&d.ring, &a, 1);
	ck_assert_uint_eq(e[0], 0);
	ck_assert_uint_eq(r[12], 0);
	ck_assert_uint_eq(r[14], 0);
	ck_assert_uint_eq(e[2 * 32 + 2], 3);			/* the chain is on the free list */
	ck_assert_uint_eq(r[16], 3);				/* used_idx */
	ck_assert_uint_eq(r[18], 3);				/* old_used_idx */
	world_dev_stop(&d);
}
END_TEST

/* proves: inflight.content */
START_TEST(a_head_twice_breaks)
{
	struct world w;
	struct world_dev d;
	struct ring_elem e;
	uint32_t seq;

	world_init(&w, false, 16, 16, 0);
	ck_assert_pstr_eq(world_dev_start(&d, &w, 0), NULL);
	world_add(&w, 1);
	ck_assert_int_ge(d.ring.ops->avail(&d.ring, 1), 1);
	ck_assert_pstr_eq(world_dev_take(&d, &e, &seq), NULL);
	/* The driver makes the same head available again. */
	w.out[0] = 0;
	world_add(&w, 1);
	ck_assert_int_ge(d.ring.ops->avail(&d.ring, 1), 1);
	ck_assert_pstr_eq(world_dev_take(&d, &e, &seq),
			  "a descriptor chain which is in flight already");
	world_dev_stop(&d);
}
END_TEST

/* A container may forbid it; the child then ends without having stopped. */
static bool may_trace(void)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(2);
		mark();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return false;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return true;
}

#ifdef __SANITIZE_THREAD__
#define WITH_TSAN true
#else
#define WITH_TSAN false
#endif

static Suite *inflight_suite(void)
{
	Suite *suite = suite_create("inflight");
	TCase *crash = tcase_create("crash"), *content = tcase_create("content");

	tcase_set_timeout(crash, TEST_SECONDS);
	if (WITH_TSAN)
		puts("# SKIP killed_after_each_store: a sanitizer of threads makes one too slow");
	else if (may_trace())
		tcase_add_loop_test(crash, killed_after_each_store, 0, ARRAY_SIZE(layouts));
	else
		puts("# SKIP killed_after_each_store: no process may be traced here");
	suite_add_tcase(suite, crash);
	tcase_set_timeout(content, TEST_SECONDS);
	tcase_add_loop_test(content, nonsense_never_hurts, 0, ARRAY_SIZE(layouts));
	tcase_add_loop_test(content, nonsense_within_bounds, 0, 2);
	tcase_add_test(content, split_layout_as_others_have_it);
	tcase_add_test(content, packed_layout_as_others_have_it);
	tcase_add_test(content, a_head_twice_breaks);
	suite_add_tcase(suite, content);
	return suite;
}

int main(void)
{
	return tap_main(inflight_suite());
}
