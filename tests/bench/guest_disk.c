/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's load on its disk: random requests of 4 KiB past the page cache, as many at a time as
 * there are threads.  Small, since the guest has no more than what the test gives it.
 *
 * usage: guest_disk DISK read|write THREADS MILLISECONDS    How many requests there were.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK		4096u
#define THREADS_MAX	128u

struct thread {
	pthread_t id;
	uint64_t random;
	/* Read by others when it has ended: */
	uint64_t requests;
	const char *failed;		/* why it ended by itself, or NULL */
};

static int disk;
static bool writes;
static uint64_t blocks;
static atomic_bool stop;

/* xorshift64 */
static uint64_t next_block(struct thread *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random % blocks;
}

/* Requests until it is enough; why not, or NULL. */
static const char *load(struct thread *t, void *block)
{
	memset(block, 0x5a, BLOCK);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		off_t at = (off_t)(next_block(t) * BLOCK);
		ssize_t n = writes ? pwrite(disk, block, BLOCK, at) : pread(disk, block, BLOCK, at);

		if (n != BLOCK)
			return "a request failed";
		t->requests++;
	}
	return NULL;
}

static void *run(void *arg)
{
	struct thread *t = arg;
	void *block;

	if (posix_memalign(&block, BLOCK, BLOCK)) {
		t->failed = "no memory";
		return NULL;
	}
	t->failed = load(t, block);
	free(block);
	return NULL;
}

static void pause_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* End the threads; how many requests they made, or 0. */
static uint64_t sum_up(struct thread *threads, unsigned int n)
{
	uint64_t requests = 0;
	bool failed = false;

	atomic_store(&stop, true);
	while (n--) {
		pthread_join(threads[n].id, NULL);
		requests += threads[n].requests;
		if (threads[n].failed) {
			fprintf(stderr, "guest_disk: %s\n", threads[n].failed);
			failed = true;
		}
	}
	return failed ? 0 : requests;
}

int main(int argc, char **argv)
{
	static struct thread threads[THREADS_MAX];
	unsigned int n, wanted;
	uint64_t requests;

	if (argc != 5)
		return 2;
	writes = !strcmp(argv[2], "write");
	wanted = (unsigned int)atoi(argv[3]);
	disk = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	blocks = disk < 0 ? 0 : (uint64_t)lseek(disk, 0, SEEK_END) / BLOCK;
	if (!blocks || !wanted || wanted > THREADS_MAX)
		return 2;
	for (n = 0; n < wanted; n++) {
		threads[n].random = 88172645463325252u + n;
		if (pthread_create(&threads[n].id, NULL, run, &threads[n]))
			break;
	}
	if (n == wanted)
		pause_ms(atol(argv[4]));
	requests = sum_up(threads, n);
	printf("%llu\n", n == wanted ? (unsigned long long)requests : 0ull);
	return n < wanted || !requests;
}
