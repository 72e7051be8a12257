/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A verified load for a guest's disk, which does not end before it is told to.
 *
 *   load run DISK BYTES THREADS	write, read and compare until SIGTERM; then compare all
 *   load check DISK BYTES		whether each block is as one write of such a run left it
 *
 * Each thread has a part of the disk for itself and one request at work, past the page
 * cache.  Every word on the disk says which block it belongs to, in which of its versions,
 * and the thread remembers the version which it wrote last.  So a write which got lost,
 * was done twice, later than it was completed, or somewhere else is told from a good one.
 *
 * What was read is looked at late: it stays where the device wrote it until the buffer's
 * next turn, and the processor does not write there.  So a page which the device has
 * written to but nobody noticed, as it may happen when a guest moves to another host, is
 * found.  Now and then a buffer gets other pages, wherever in memory those are.
 *
 * A line "load: N requests" every half second says that it goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BLOCK		4096u			/* bytes */
#define WORDS		(BLOCK / sizeof(uint64_t))
#define MOST		16u			/* blocks of a request */
#define KEPT		16u			/* reads which a thread keeps */
#define THREADS_MAX	64u
#define FLUSH_EVERY	64u			/* requests of a thread */
#define VERSIONS	(1u << 24)
#define STUCK		120			/* half seconds without a request */

/* Something which was read, and what it ought to be. */
struct kept {
	uint64_t *data;				/* MOST blocks */
	uint64_t first;				/* block */
	unsigned int blocks;			/* 0: nothing */
	uint32_t version[MOST];
};

struct thread {
	pthread_t id;
	unsigned int number;
	uint64_t first, blocks;			/* its part of the disk */
	uint32_t *version;			/* [blocks], as last written */
	uint64_t random;
	uint64_t *out;				/* MOST blocks */
	struct kept kept[KEPT];
	atomic_uint_least64_t requests;
};

static int disk;
static atomic_bool stop;

static void fail(const char *what, int err)
{
	printf("load: %s: %s\n", what, strerror(err));
	fflush(stdout);
	_exit(1);
}

static uint64_t word_of(uint64_t block, uint32_t version, size_t i)
{
	return block << 40 | (uint64_t)version << 16 | i;
}

static uint64_t *new_pages(void)
{
	void *p = mmap(NULL, MOST * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		fail("memory", errno);
	return p;
}

/* The words are what they ought to be, or the process ends. */
static void compare(const uint64_t *data, uint64_t block, uint32_t version, const char *when)
{
	size_t i;

	for (i = 0; i < WORDS; i++) {
		if (data[i] == word_of(block, version, i))
			continue;
		printf("load: %s: block %" PRIu64 " word %zu: version %" PRIu32 " of it wanted, found "
		       "block %" PRIu64 " version %" PRIu64 " word %" PRIu64 "\n", when, block, i,
		       version, data[i] >> 40, data[i] >> 16 & (VERSIONS - 1), data[i] & 0xffff);
		fflush(stdout);
		_exit(1);
	}
}

static void read_blocks(uint64_t *data, uint64_t first, unsigned int blocks)
{
	ssize_t got = pread(disk, data, blocks * BLOCK, (off_t)(first * BLOCK));

	if (got != (ssize_t)(blocks * BLOCK))
		fail("read", got < 0 ? errno : EIO);
}

static uint32_t random_below(struct thread *t, uint64_t limit)
{
	t->random = t->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((t->random >> 33) % limit);
}

/* A place for a request; returns the number of blocks. */
static unsigned int place(struct thread *t, uint64_t *at)
{
	unsigned int blocks = 1 + random_below(t, MOST);

	*at = random_below(t, t->blocks - blocks + 1);
	return blocks;
}

static void write_at(struct thread *t, uint64_t at, unsigned int blocks)
{
	ssize_t done;
	unsigned int b;
	size_t i;

	for (b = 0; b < blocks; b++) {
		t->version[at + b] = (t->version[at + b] + 1) % VERSIONS;
		for (i = 0; i < WORDS; i++)
			t->out[b * WORDS + i] = word_of(t->first + at + b, t->version[at + b], i);
	}
	done = pwrite(disk, t->out, blocks * BLOCK, (off_t)((t->first + at) * BLOCK));
	if (done != (ssize_t)(blocks * BLOCK))
		fail("write", done < 0 ? errno : EIO);
}

static void look_at(struct kept *k)
{
	unsigned int b;

	for (b = 0; b < k->blocks; b++)
		compare(k->data + b * WORDS, k->first + b, k->version[b], "kept");
	k->blocks = 0;
}

static void read_and_keep(struct thread *t, struct kept *k)
{
	uint64_t at;
	unsigned int blocks = place(t, &at);

	look_at(k);
	if (!random_below(t, 8) && madvise(k->data, MOST * BLOCK, MADV_DONTNEED))
		fail("madvise", errno);
	read_blocks(k->data, t->first + at, blocks);
	k->first = t->first + at;
	k->blocks = blocks;
	memcpy(k->version, t->version + at, blocks * sizeof(t->version[0]));
}

static void read_all(struct thread *t)
{
	uint64_t at;
	unsigned int i;

	for (i = 0; i < KEPT; i++)
		look_at(&t->kept[i]);
	for (at = 0; at < t->blocks; at++) {
		read_blocks(t->out, t->first + at, 1);
		compare(t->out, t->first + at, t->version[at], "at the end");
		atomic_fetch_add(&t->requests, 1);
	}
}

/* A processor for each thread in turn, so that all queues have something to do. */
static void pin(const struct thread *t)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(t->number % (n > 0 ? (unsigned int)n : 1), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	uint64_t at, n;

	pin(t);
	for (at = 0; at < t->blocks; at += MOST)
		write_at(t, at, t->blocks - at < MOST ? (unsigned int)(t->blocks - at) : MOST);
	for (n = 1; !atomic_load(&stop); n++) {
		if (!(n % FLUSH_EVERY) && fdatasync(disk))
			fail("flush", errno);
		if (random_below(t, 2)) {
			unsigned int blocks = place(t, &at);

			write_at(t, at, blocks);
		} else {
			read_and_keep(t, &t->kept[random_below(t, KEPT)]);
		}
		atomic_fetch_add(&t->requests, 1);
	}
	read_all(t);
	return NULL;
}

static void start_thread(struct thread *t, unsigned int number, uint64_t blocks)
{
	unsigned int i;

	t->number = number;
	t->first = number * blocks;
	t->blocks = blocks;
	t->random = number;
	t->version = calloc(blocks, sizeof(t->version[0]));
	if (!t->version)
		fail("memory", ENOMEM);
	t->out = new_pages();
	for (i = 0; i < KEPT; i++)
		t->kept[i].data = new_pages();
	if (pthread_create(&t->id, NULL, run_thread, t))
		fail("thread", EAGAIN);
}

static void on_signal(int sig)
{
	(void)sig;
	atomic_store(&stop, true);
}

/* Until all threads are through; one without any progress is the end. */
static void watch(struct thread *t, unsigned int threads)
{
	const struct timespec half = { 0, 500000000 };
	uint64_t last[THREADS_MAX] = { 0 }, sum;
	unsigned int idle[THREADS_MAX] = { 0 }, i, running;

	do {
		nanosleep(&half, NULL);
		for (i = 0, sum = 0, running = 0; i < threads; i++) {
			uint64_t now = atomic_load(&t[i].requests);

			sum += now;
			if (!t[i].id || !pthread_tryjoin_np(t[i].id, NULL)) {
				t[i].id = 0;
				continue;
			}
			running++;
			idle[i] = now == last[i] ? idle[i] + 1 : 0;
			last[i] = now;
			if (idle[i] == STUCK)
				printf("load: thread %u is stuck after %" PRIu64 " requests\n", i, now);
		}
		printf("load: %" PRIu64 " requests\n", sum);
		fflush(stdout);
	} while (running);
}

static void run(uint64_t bytes, unsigned int threads)
{
	static struct thread t[THREADS_MAX];
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	unsigned int i;

	sigaction(SIGTERM, &sa, NULL);
	for (i = 0; i < threads; i++)
		start_thread(&t[i], i, bytes / BLOCK / threads);
	watch(t, threads);
	puts("load: all is as written");
}

static void check(uint64_t bytes)
{
	uint64_t *data = new_pages(), block;

	for (block = 0; block < bytes / BLOCK; block++) {
		read_blocks(data, block, 1);
		compare(data, block, (uint32_t)(data[0] >> 16 & (VERSIONS - 1)), "check");
	}
}

int main(int argc, char **argv)
{
	uint64_t bytes = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	unsigned long threads = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	bool is_run = argc == 5 && !strcmp(argv[1], "run");

	if ((!is_run && (argc != 4 || strcmp(argv[1], "check"))) ||
	    (is_run && (!threads || threads > THREADS_MAX || bytes / BLOCK / threads < MOST))) {
		fputs("usage: load run DISK BYTES THREADS | load check DISK BYTES\n", stderr);
		return 2;
	}
	disk = open(argv[2], (is_run ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	if (disk < 0 && errno == EINVAL)
		disk = open(argv[2], (is_run ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (disk < 0)
		fail(argv[2], errno);
	if (is_run)
		run(bytes, (unsigned int)threads);
	else
		check(bytes);
	return 0;
}
