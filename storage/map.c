/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where an image has holes, by what the file system says of them.
 *
 * Nobody is kept from writing meanwhile: what is told was true of each run when it was looked
 * at.  Room which was allocated but never written counts as a hole with most file systems.
 */
#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

#include "storage/file.h"

/* Holes looked at in one operation; those which are smaller than a unit are not told. */
#define MAP_STEPS	1024u

/* A search: all up to pos has been looked at. */
struct map_search {
	const struct file *file;
	uint64_t unit, end;		/* bytes */
	uint64_t pos;
	unsigned int steps;		/* which are left */
	bool found;
	uint64_t start, stop;		/* of the hole which was found, whole units */
};

/* One hole of the file, from pos on; false: there is none, or it cannot be known. */
static bool map_step(struct map_search *s)
{
	off_t hole = lseek(s->file->fd, (off_t)s->pos, SEEK_HOLE), data;

	if (hole < 0 || (uint64_t)hole >= s->end)
		return false;
	data = lseek(s->file->fd, hole, SEEK_DATA);
	/* ENXIO: there is no data behind it. */
	if (data < 0 && errno != ENXIO)
		return false;
	s->pos = data < 0 ? s->end : MIN((uint64_t)data, s->end);
	s->start = ALIGN_UP((uint64_t)hole, s->unit);
	s->stop = s->pos == s->end ? s->end : ALIGN_DOWN(s->pos, s->unit);
	s->found = s->start < s->stop;
	return true;
}

/* The next hole which has whole units. */
static void map_find(struct map_search *s)
{
	s->found = false;
	while (!s->found && s->pos < s->end && s->steps) {
		s->steps--;
		if (!map_step(s))
			s->pos = s->end;
	}
}

static void map_add(struct storage_map *map, uint64_t *at, uint64_t end, bool hole)
{
	if (*at >= end || map->cnt == map->room)
		return;
	map->runs[map->cnt++] = (struct storage_run){ .len = end - *at, .hole = hole };
	*at = end;
}

void map_run(const struct file *f, const struct storage_io *io)
{
	struct map_search s = {
		.file = f, .unit = io->map->unit, .end = io->offset + io->len, .pos = io->offset,
		.steps = MAP_STEPS,
	};
	struct storage_map *map = io->map;
	uint64_t at = io->offset;

	if (f->block)
		return;			/* storage.c has said already: data */
	map->cnt = 0;
	do {
		map_find(&s);
		if (s.found) {
			map_add(map, &at, s.start, false);
			map_add(map, &at, s.stop, true);
		} else {
			map_add(map, &at, MIN(ALIGN_UP(s.pos, s.unit), s.end), false);
		}
	} while (at < s.end && map->cnt < map->room && s.steps);
	/* Somebody has filled each hole when it had just been found. */
	if (!map->cnt)
		map_add(map, &at, s.end, false);
}
