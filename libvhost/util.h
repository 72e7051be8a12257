/* SPDX-License-Identifier: BSD-3-Clause */
/* Small things which C lacks; shared by all folders. */
#ifndef VHOST_UTIL_H
#define VHOST_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIN(a, b)		((a) < (b) ? (a) : (b))
#define MAX(a, b)		((a) > (b) ? (a) : (b))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define ALIGN_DOWN(x, a)	((x) & ~((__typeof__(x))(a) - 1))
#define ALIGN_UP(x, a)		ALIGN_DOWN((x) + ((a) - 1), a)
#define BIT(n)			(UINT64_C(1) << (n))

#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

/* Whether a + b wraps; the sum goes to *sum. */
static inline bool add_overflows(uint64_t a, uint64_t b, uint64_t *sum)
{
	return __builtin_add_overflow(a, b, sum);
}

static inline bool is_power_of_2(uint64_t x)
{
	return x && !(x & (x - 1));
}

/* Tell the processor that this thread spins. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/*
 * The line at p will be written soon, wherever that is: no other core shall have it.  For the
 * oldest processors of its kind gcc makes of its own word for this what is right for reading, and
 * the first store has to wait for another core once more.
 */
static inline void prefetch_to_write(const void *p)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

/*
 * Bytes which processors take from each other at a time: a cache line, or a pair of them.  What a
 * worker writes for each request has such for itself, so that no other worker waits for it.
 */
#define LINE		128
#define line_aligned	__attribute__((aligned(LINE)))

/* As calloc(), but in lines of its own. */
static inline void *line_calloc(size_t n, size_t size)
{
	void *p = NULL;

	if (size <= (SIZE_MAX - LINE) / (n ? n : 1))
		p = aligned_alloc(LINE, ALIGN_UP(n * size, (size_t)LINE));
	return p ? memset(p, 0, n * size) : NULL;
}

/* Close *fd if there is one, and forget it. */
static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

#endif /* VHOST_UTIL_H */
