/* SPDX-License-Identifier: BSD-3-Clause */
/* Units: from what --lun says to what the driver finds. */
#include "units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemons/daemon.h"
#include "util.h"

#define SERIAL_MAX 20

/* In the order of enum storage_engine and enum storage_cache. */
static const char *const engines[] = { "auto", "uring", "aio", "threads", "null", NULL };
static const char *const caches[] = { "writeback", "none", "writethrough", NULL };
static const char *const lockings[] = { "on", "off", NULL };
static const char *const block_sizes[] = { "512", "4096", NULL };
static const unsigned int block_size_of[] = { 512, 4096 };

#define FIELD(field) .offset = offsetof(struct unit, field)

const struct option_def unit_keys[] = {
	{ "file", OPTION_TEXT, FIELD(file), .arg = "PATH",
	  .help = "the image: a file or block device" },
	{ "read-only", OPTION_FLAG, FIELD(read_only),
	  .help = "the guest cannot change the image" },
	{ "cdrom", OPTION_FLAG, FIELD(cdrom), .help = "a CD-ROM instead of a disk" },
	{ "locking", OPTION_CHOICE, FIELD(locking), .choices = lockings,
	  .help = "keep other processes off the image (default on)" },
	{ "engine", OPTION_CHOICE, FIELD(engine), .choices = engines,
	  .help = "how to reach the image (default auto); null: no image, for benchmarks" },
	{ "cache", OPTION_CHOICE, FIELD(cache), .choices = caches,
	  .help = "use of the page cache (default writeback)" },
	{ "size", OPTION_SIZE, FIELD(size), .arg = "BYTES", .min = 512, .max = INT64_MAX,
	  .help = "create the image if it is missing; size of engine=null; with K, M, G or T" },
	{ "block-size", OPTION_CHOICE, FIELD(block_size), .choices = block_sizes,
	  .help = "the guest's logical block, in bytes (default 512)" },
	{ "serial", OPTION_TEXT, FIELD(serial), .arg = "TEXT", .max = SERIAL_MAX,
	  .help = "the unit's serial number, up to 20 bytes" },
	{ "reservations", OPTION_TEXT, FIELD(reservations), .arg = "PATH",
	  .help = "file which keeps persistent reservations" },
	{ "passthrough", OPTION_TEXT, FIELD(passthrough), .arg = "PATH",
	  .help = "a SCSI device of the host, /dev/sgN, instead of an image" },
	{ "timeout", OPTION_NUMBER, FIELD(timeout), .arg = "N", .max = 86400,
	  .help = "of the commands to that device, in seconds (default none)" },
	{ 0 }
};

#undef FIELD

/*
 * What is said
 */

/* A decimal number up to max at *text, which moves behind it; -1: there is none. */
static int unit_number(char **text, unsigned int max)
{
	unsigned long n;

	if (!isdigit((unsigned char)**text))
		return -1;
	errno = 0;
	n = strtoul(*text, text, 10);
	return errno || n > max ? -1 : (int)n;
}

const char *unit_parse_address(char *text, struct scsi_address *address, char **rest)
{
	int n = unit_number(&text, SCSI_LUNS_MAX - 1);

	if (n >= 0 && *text == ':') {
		if (n >= SCSI_TARGETS_MAX)
			return "the target is not in the range from 0 to 255";
		address->target = (uint8_t)n;
		text++;
		n = unit_number(&text, SCSI_LUNS_MAX - 1);
	}
	if (n < 0 || (*text && *text != ','))
		return "it does not begin with [TARGET:]LUN, a LUN from 0 to 16383";
	address->lun = (uint16_t)n;
	*rest = *text ? text + 1 : NULL;
	return NULL;
}

static const char *unit_conflict(const struct unit *u)
{
	bool null = u->engine == STORAGE_ENGINE_NULL;

	if (u->passthrough && (u->file || u->read_only || u->cdrom || u->engine || u->cache ||
			       u->size || u->block_size || u->serial || u->reservations))
		return "passthrough: the device has all other properties itself";
	if (u->passthrough)
		return NULL;
	if (u->timeout)
		return "timeout: it is for passthrough";
	if (null && u->file)
		return "engine=null, file: this engine has no image";
	if (null && !u->size)
		return "engine=null: it needs size";
	if (!null && !u->file)
		return "file: it is required";
	if (!null && u->size && (u->read_only || u->cdrom))
		return "size, read-only: an image is not created read-only";
	if (u->cdrom && u->block_size)
		return "cdrom, block-size: its block has 2048 bytes";
	if (u->size % (u->cdrom ? 2048 : block_size_of[u->block_size]))
		return "size: not a multiple of block-size";
	return NULL;
}

struct unit *units_find(const struct units *units, const struct scsi_address *address)
{
	struct unit *u = units->first;

	while (u && (u->address.target != address->target || u->address.lun != address->lun))
		u = u->next;
	return u;
}

/* What is wrong, possibly in why, or NULL. */
static const char *unit_parse(const struct units *units, struct unit *u, char why[OPTION_WHY_SIZE])
{
	struct option_table table = { .defs = unit_keys, .values = u };
	const char *wrong;
	char *keys;

	wrong = unit_parse_address(u->text, &u->address, &keys);
	if (wrong)
		return wrong;
	if (keys && options_parse_keys(&table, keys, why))
		return why;
	return units_find(units, &u->address) ? "there is such a unit already" : unit_conflict(u);
}

static void unit_destroy(struct unit *u)
{
	close_fd(&u->fd);
	free(u->text);
	free(u->name);
	free(u);
}

int unit_new(struct units *units, const char *name, struct unit **unit, char why[UNIT_WHY_SIZE])
{
	struct unit *u = calloc(1, sizeof(*u));
	char buf[OPTION_WHY_SIZE];
	const char *wrong = NULL;

	if (u) {
		u->fd = -1;
		u->name = strdup(name);
		u->text = strdup(name);
	}
	if (!u || !u->name || !u->text)
		wrong = strerror(ENOMEM);
	else
		wrong = unit_parse(units, u, buf);
	if (wrong) {
		snprintf(why, UNIT_WHY_SIZE, "%s", wrong);
		if (u)
			unit_destroy(u);
		return -EINVAL;
	}
	*units->last = u;
	units->last = &u->next;
	*unit = u;
	return 0;
}

/*
 * Images
 */

/* Whether the image of the one can be that of the other. */
static bool unit_same_image(const struct unit *a, const struct unit *b)
{
	return a->image && !a->given && !b->given && a->file && b->file && !strcmp(a->file, b->file) &&
	       a->engine == b->engine && a->cache == b->cache && a->locking == b->locking &&
	       a->block_size == b->block_size && a->size == b->size && a->cdrom == b->cdrom &&
	       a->read_only == b->read_only;
}

static struct image *unit_share(const struct units *units, const struct unit *u)
{
	const struct unit *other;

	for (other = units->first; other; other = other->next)
		if (other != u && unit_same_image(other, u))
			return other->image;
	return NULL;
}

static int unit_open_image(struct unit *u, char *why)
{
	const struct storage_params params = {
		.path = u->file,
		.fd = u->given ? &u->fd : NULL,
		.engine = u->engine,
		.cache = u->cache,
		.read_only = u->read_only || u->cdrom,
		.shared = u->locking != 0,
		.size = u->size,
		.block_size = block_size_of[u->block_size],
	};
	struct image *image = calloc(1, sizeof(*image));
	int ret;

	if (!image) {
		snprintf(why, UNIT_WHY_SIZE, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	ret = storage_open(&image->storage, &params, why, UNIT_WHY_SIZE);
	close_fd(&u->fd);
	if (ret)
		free(image);
	else
		u->image = image;
	return ret;
}

int unit_open(struct units *units, struct unit *u, char why[UNIT_WHY_SIZE])
{
	int ret = 0;

	if (u->passthrough)
		return 0;
	u->image = unit_share(units, u);
	if (!u->image)
		ret = unit_open_image(u, why);
	if (!ret)
		u->image->users++;
	return ret;
}

static void unit_close(struct unit *u, bool served)
{
	struct image *image = u->image;
	struct storage_info info;

	if (!image || --image->users)
		return;
	storage_info(image->storage, &info);
	if (info.created && !served)
		unlink(u->file);
	storage_close(image->storage);
	free(image);
}

/*
 * Life
 */

void unit_log(const struct unit *u, const struct vhost_dev *dev)
{
	struct storage_info info;

	if (u->passthrough) {
		daemon_log(VHOST_LOG_INFO, "%s: unit %u:%u: %s", vhost_dev_name(dev),
			   u->address.target, u->address.lun, u->passthrough);
		return;
	}
	storage_info(u->image->storage, &info);
	daemon_log(VHOST_LOG_INFO,
		   "%s: unit %u:%u: %s, %" PRIu64 " bytes, engine %s, cache %s%s%s",
		   vhost_dev_name(dev), u->address.target, u->address.lun,
		   u->file ? u->file : "no image", info.size, info.engine, caches[u->cache],
		   u->cdrom ? ", CD-ROM" : "", info.read_only ? ", read-only" : "");
}

/* FNV-1a. */
static uint64_t unit_hash(uint64_t h, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n--)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

/*
 * Initiators take units of the same serial number for ways to one disk, whichever device they are
 * behind.  So unless it is given, it is made of what makes the unit another one than all others of
 * this host, and stays the same from run to run: the image's path and the address.
 */
static const char *unit_serial(const struct unit *u, char buf[SERIAL_MAX + 1])
{
	const uint16_t address[2] = { u->address.target, u->address.lun };
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	char *path;

	if (u->serial || !u->file)
		return u->serial;
	path = realpath(u->file, NULL);
	h = unit_hash(h, path ? path : u->file, strlen(path ? path : u->file));
	h = unit_hash(h, address, sizeof(address));
	snprintf(buf, SERIAL_MAX + 1, "%016" PRIx64, h);
	free(path);
	return buf;
}

int unit_serve(struct units *units, struct unit *u, char why[UNIT_WHY_SIZE])
{
	char serial[SERIAL_MAX + 1];
	const struct scsi_lun_params params = {
		.address = u->address,
		.storage = u->image ? u->image->storage : NULL,
		.passthrough = u->passthrough,
		.timeout = u->timeout,
		.cdrom = u->cdrom,
		.block_size = u->cdrom ? 0 : block_size_of[u->block_size],
		.serial = unit_serial(u, serial),
		.reservations = u->reservations,
	};

	return scsi_lun_add(units->target, &params, why, UNIT_WHY_SIZE);
}

void unit_free(struct units *units, struct unit *u, bool served)
{
	struct unit **link = &units->first;

	while (*link != u)
		link = &(*link)->next;
	*link = u->next;
	if (units->last == &u->next)
		units->last = link;
	unit_close(u, served);
	unit_destroy(u);
}

void units_init(struct units *units)
{
	units->first = NULL;
	units->last = &units->first;
}

void units_free(struct units *units, bool served)
{
	while (units->first)
		unit_free(units, units->first, served);
}
