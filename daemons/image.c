/* SPDX-License-Identifier: BSD-3-Clause */
/* Images as options describe them: what is possible, and the way to an opened one. */
#include "image.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"

/* In the order of enum storage_engine and enum storage_cache. */
const char *const image_engines[] = { "auto", "uring", "aio", "threads", "null", NULL };
const char *const image_caches[] = { "writeback", "none", "writethrough", NULL };
const char *const image_lockings[] = { "on", "off", NULL };
const char *const image_block_sizes[] = { "512", "4096", NULL };
static const unsigned int block_size_of[] = { 512, 4096 };

int image_check(const struct image_options *o, const struct image_names *names,
		unsigned int block, char why[IMAGE_WHY_SIZE])
{
	bool null = o->engine == STORAGE_ENGINE_NULL;
	const char *d = names->dashes;

	if (null && o->file)
		snprintf(why, IMAGE_WHY_SIZE, "%sengine=null, %s%s: this engine has no image", d, d,
			 names->file);
	else if (null && !o->size)
		snprintf(why, IMAGE_WHY_SIZE, "%sengine=null: it needs %ssize", d, d);
	else if (!null && !o->file)
		snprintf(why, IMAGE_WHY_SIZE, "%s%s: it is required", d, names->file);
	else if (!null && o->size && o->read_only)
		snprintf(why, IMAGE_WHY_SIZE,
			 "%ssize, %sread-only: an image is not created read-only", d, d);
	else if (o->size % block)
		snprintf(why, IMAGE_WHY_SIZE, "%ssize: not a multiple of %sblock-size", d, d);
	else
		return 0;
	return -EINVAL;
}

unsigned int image_block_size(const struct image_options *o)
{
	return block_size_of[o->block_size];
}

bool image_same(const struct image_options *a, const struct image_options *b)
{
	return a->file && b->file && !strcmp(a->file, b->file) && a->engine == b->engine &&
	       a->cache == b->cache && a->locking == b->locking &&
	       a->block_size == b->block_size && a->size == b->size &&
	       a->read_only == b->read_only;
}

void image_need(struct daemon_device *device, const struct image_options *o)
{
	struct stat sb;
	bool there;

	if (!o->file)
		return;
	there = !stat(o->file, &sb);
	daemon_need_file(device, o->file, o->read_only ? DAEMON_READ :
			 !there && o->size ? DAEMON_MAKE : DAEMON_WRITE);
	/* What the kernel says about it. */
	if (there && S_ISBLK(sb.st_mode))
		daemon_need_file(device, "/sys/devices", DAEMON_READ);
}

int image_open(struct storage **storage, const struct image_options *o, const int *fd,
	       char why[IMAGE_WHY_SIZE])
{
	const struct storage_params params = {
		.path = o->file,
		.fd = fd,
		.engine = o->engine,
		.cache = o->cache,
		.read_only = o->read_only,
		.shared = o->locking != 0,
		.size = o->size,
		.block_size = image_block_size(o),
	};

	return storage_open(storage, &params, why, IMAGE_WHY_SIZE);
}

void image_close(struct storage *storage, const struct image_options *o, bool served)
{
	struct storage_info info;

	storage_info(storage, &info);
	if (info.created && !served)
		unlink(o->file);
	storage_close(storage);
}

void image_tell(const struct storage *storage, const struct image_options *o,
		char text[IMAGE_TEXT_SIZE])
{
	struct storage_info info;

	storage_info(storage, &info);
	snprintf(text, IMAGE_TEXT_SIZE, "%" PRIu64 " bytes, engine %s, cache %s%s", info.size,
		 info.engine, image_caches[o->cache], info.read_only ? ", read-only" : "");
}

void image_io_error(struct vhost_queue *q, const char *unit, const struct storage_io *io, int err)
{
	static const char *const ops[STORAGE_OPS] = {
		"read", "write", "flush", "discard", "write zeroes", "map",
	};

	vhost_queue_log(q, VHOST_LOG_ERR, "%s%s of %" PRIu64 " bytes at %" PRIu64 ": %s", unit,
			ops[io->op], io->len, io->offset, strerror(-err));
}

void image_status(const struct storage *storage, const struct image_options *o,
		  struct json_object *status)
{
	struct storage_info info;

	storage_info(storage, &info);
	if (o->file)
		json_add(status, "file", json_text(o->file));
	json_add(status, "size", json_object_new_uint64(info.size));
	json_add(status, "engine", json_object_new_string(info.engine));
	json_add(status, "read-only", json_object_new_boolean(info.read_only));
}
