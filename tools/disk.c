/* SPDX-License-Identifier: BSD-3-Clause */
/* See disk.h. */
#include "config.h"

#include "tools/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define DISK_WORDS	(DISK_SECTOR / 8)

/* In struct disk.times: a request which concerns the block is in flight. */
#define DISK_BUSY	(UINT32_C(1) << 31)

/* More are not remembered one by one. */
#define DISK_BLOCKS_MAX	(UINT64_C(1) << 28)

static bool disk_is_random(const struct load *l)
{
	return l->params.rw == LOAD_RANDREAD || l->params.rw == LOAD_RANDWRITE ||
	       l->params.rw == LOAD_RANDRW;
}

static bool disk_reads_only(const struct load *l)
{
	return l->params.rw == LOAD_RANDREAD || l->params.rw == LOAD_READ;
}

static int disk_size(struct load *l, struct disk *d, uint64_t bytes)
{
	if (l->params.area > bytes)
		return load_wrong(l, "the disk has %llu bytes only", (unsigned long long)bytes);
	d->blocks = (l->params.area ? l->params.area : bytes) / l->params.block;
	if (!d->blocks || (l->params.verify && d->blocks < l->num_slots))
		return load_wrong(l, "the disk is too small for so many requests of this size");
	return 0;
}

static int disk_remember(struct load *l, struct disk *d)
{
	if (!l->params.verify)
		return 0;
	if (d->blocks > DISK_BLOCKS_MAX)
		return load_wrong(l, "the disk is too large to verify all of it: see --area");
	d->times = calloc(d->blocks, sizeof(*d->times));
	return d->times ? 0 : load_fail(l, -ENOMEM, "the disk's blocks");
}

int disk_open(struct load *l, uint64_t bytes, bool read_only)
{
	struct disk *d;
	int err;

	if (read_only && !disk_reads_only(l))
		return load_wrong(l, "the disk is read-only");
	d = calloc(1, sizeof(*d));
	if (!d)
		return load_fail(l, -ENOMEM, "the disk");
	*d = (struct disk){
		.load = l,
		.run = (uint32_t)load_clock(),
	};
	l->device = d;
	err = disk_size(l, d, bytes);
	return err ? err : disk_remember(l, d);
}

void disk_close(struct load *l)
{
	struct disk *d = l->device;

	if (d)
		free(d->times);
	free(d);
	l->device = NULL;
}

/*
 * Data
 */

/* Bits which look random (splitmix64). */
static uint64_t disk_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* The other words of a sector, of which a and b are the first. */
static uint64_t disk_word(uint64_t a, uint64_t b, unsigned int i)
{
	return disk_mix(a) + disk_mix(~b) * (2 * i + 1);
}

/* How often the block has been written. */
static uint32_t disk_times(const struct disk *d, uint64_t block)
{
	return d->times[block] & ~DISK_BUSY;
}

static uint64_t disk_stamp(const struct disk *d, uint32_t times)
{
	return (uint64_t)d->run << 32 | times;
}

static void disk_fill(const struct load *l, const struct disk *d, struct load_slot *s)
{
	uint64_t sector = disk_sector(l, s), stamp = disk_stamp(d, disk_times(d, s->block) + 1);
	uint64_t *word = (uint64_t *)(void *)s->data;
	uint32_t n;
	unsigned int i;

	for (n = 0; n < l->params.block / DISK_SECTOR; n++, word += DISK_WORDS) {
		word[0] = sector + n;
		word[1] = stamp;
		for (i = 2; i < DISK_WORDS; i++)
			word[i] = disk_word(word[0], word[1], i);
	}
}

/* Whether it is a sector as disk_fill() makes them, and of which block. */
static bool disk_is_ours(const uint64_t *word)
{
	unsigned int i;

	for (i = 2; i < DISK_WORDS; i++)
		if (word[i] != disk_word(word[0], word[1], i))
			return false;
	return true;
}

static int disk_check_sector(struct load *l, const struct disk *d, const uint64_t *word,
			     uint64_t sector, uint32_t times)
{
	if (!disk_is_ours(word))
		return load_wrong(l, times ? "sector %llu is not what was written there" :
				  "sector %llu is not what vhost-bench --verify would write there",
				  (unsigned long long)sector);
	if (word[0] != sector)
		return load_wrong(l, "sector %llu has what was written to sector %llu",
				  (unsigned long long)sector, (unsigned long long)word[0]);
	if (times && word[1] != disk_stamp(d, times))
		return load_wrong(l, "sector %llu has what was written there earlier",
				  (unsigned long long)sector);
	return 0;
}

static int disk_check(struct load *l, const struct disk *d, const struct load_slot *s)
{
	const uint64_t *word = (const uint64_t *)(const void *)s->data;
	uint64_t sector = disk_sector(l, s);
	uint32_t n;
	int err = 0;

	for (n = 0; n < l->params.block / DISK_SECTOR && !err; n++, word += DISK_WORDS)
		err = disk_check_sector(l, d, word, sector + n, disk_times(d, s->block));
	return err;
}

/*
 * Requests
 */

/* The next block which was written, once each. */
static bool disk_next_written(struct disk *d, struct load_slot *s)
{
	while (d->next < d->blocks) {
		s->block = d->next++;
		if (!d->times[s->block])
			continue;
		s->write = false;
		return true;
	}
	return false;
}

/* A division would be slower than the rest of a request. */
static uint64_t disk_random(struct load *l, const struct disk *d)
{
	if (d->blocks <= UINT32_MAX)
		return (load_random(l) >> 32) * d->blocks >> 32;
	return load_random(l) % d->blocks;
}

static void disk_choose(struct load *l, struct disk *d, struct load_slot *s)
{
	s->block = disk_is_random(l) ? disk_random(l, d) : d->next++ % d->blocks;
	if (!d->times)
		return;
	/* There are more blocks than requests. */
	while (d->times[s->block] & DISK_BUSY)
		s->block = (s->block + 1) % d->blocks;
	d->times[s->block] |= DISK_BUSY;
}

static bool disk_writes(struct load *l)
{
	switch (l->params.rw) {
	case LOAD_RANDWRITE:
	case LOAD_WRITE:
		return true;
	case LOAD_RANDRW:
		return load_random(l) >> 63;
	default:
		return false;
	}
}

/* Not zeroes, from which a disk might save itself the work. */
static void disk_fill_once(struct load *l, struct load_slot *s)
{
	uint64_t *word = (uint64_t *)(void *)s->data;
	size_t i;

	for (i = 0; s->write && !s->turn && i < l->params.block / sizeof(*word); i++)
		word[i] = load_random(l);
	s->turn += s->write;
}

bool disk_next(struct load *l, struct load_slot *s)
{
	struct disk *d = l->device;

	if (d->checking)
		return disk_next_written(d, s);
	disk_choose(l, d, s);
	s->write = disk_writes(l);
	if (!d->times) {
		disk_fill_once(l, s);
		return true;
	}
	/* Where both happens, what has not been written could not be judged. */
	if (!disk_times(d, s->block) && l->params.rw == LOAD_RANDRW)
		s->write = true;
	if (s->write)
		disk_fill(l, d, s);
	else
		memset(s->data, 0, l->params.block);
	return true;
}

int64_t disk_done(struct load *l, struct load_slot *s)
{
	struct disk *d = l->device;
	int err;

	if (!d->times)
		return (int64_t)l->params.block;
	d->times[s->block] &= ~DISK_BUSY;
	if (s->write) {
		d->times[s->block]++;
		return (int64_t)l->params.block;
	}
	err = disk_check(l, d, s);
	if (err)
		return err;
	l->verified++;
	return (int64_t)l->params.block;
}

void disk_recheck(struct load *l)
{
	struct disk *d = l->device;

	d->checking = true;
	d->next = 0;
}
