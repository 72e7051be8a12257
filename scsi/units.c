/* SPDX-License-Identifier: BSD-3-Clause */
/* Units: from what --lun says to what the driver finds. */
#include "units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/daemon.h"
#include "util.h"

#define CDROM_BLOCK 2048u

#define FIELD(field) .offset = offsetof(struct unit, field)

const struct option_def unit_keys[] = {
	IMAGE_OPTIONS(struct unit, "file", ""),
	{ "cdrom", OPTION_FLAG, FIELD(cdrom), .help = "a CD-ROM instead of a disk" },
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

/* Whether anything is said of an image. */
static bool unit_says_image(const struct image_options *o)
{
	return o->file || o->read_only || o->engine || o->cache || o->size || o->block_size ||
	       o->serial;
}

/* What is wrong, possibly in why, or NULL. */
static const char *unit_conflict(struct unit *u, char why[UNIT_WHY_SIZE])
{
	static const struct image_names names = { .dashes = "", .file = "file" };

	if (u->passthrough && (unit_says_image(&u->image) || u->cdrom || u->reservations))
		return "passthrough: the device has all other properties itself";
	if (u->passthrough)
		return NULL;
	if (u->timeout)
		return "timeout: it is for passthrough";
	if (u->cdrom && u->image.block_size)
		return "cdrom, block-size: its block has 2048 bytes";
	u->image.read_only |= u->cdrom;
	return image_check(&u->image, &names, u->cdrom ? CDROM_BLOCK : image_block_size(&u->image),
			   why) ? why : NULL;
}

struct unit *units_find(const struct units *units, const struct scsi_address *address)
{
	struct unit *u = units->first;

	while (u && (u->address.target != address->target || u->address.lun != address->lun))
		u = u->next;
	return u;
}

/* What is wrong, possibly in why, or NULL. */
static const char *unit_parse(const struct units *units, struct unit *u, char why[UNIT_WHY_SIZE])
{
	struct option_table table = { .defs = unit_keys, .values = u };
	const char *wrong;
	char *keys;

	wrong = unit_parse_address(u->text, &u->address, &keys);
	if (wrong)
		return wrong;
	if (keys && options_parse_keys(&table, keys, why))
		return why;
	if (units_find(units, &u->address))
		return "there is such a unit already";
	return unit_conflict(u, why);
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
	char buf[UNIT_WHY_SIZE];
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
	return a->opened && !a->given && !b->given && a->cdrom == b->cdrom &&
	       image_same(&a->image, &b->image);
}

static struct unit_image *unit_share(const struct units *units, const struct unit *u)
{
	const struct unit *other;

	for (other = units->first; other; other = other->next)
		if (other != u && unit_same_image(other, u))
			return other->opened;
	return NULL;
}

static int unit_open_image(struct unit *u, char *why)
{
	struct unit_image *image = calloc(1, sizeof(*image));
	int ret;

	if (!image) {
		snprintf(why, UNIT_WHY_SIZE, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	ret = image_open(&image->storage, &u->image, u->given ? &u->fd : NULL, why);
	close_fd(&u->fd);
	if (ret)
		free(image);
	else
		u->opened = image;
	return ret;
}

int unit_open(struct units *units, struct unit *u, char why[UNIT_WHY_SIZE])
{
	int ret = 0;

	if (u->passthrough)
		return 0;
	u->opened = unit_share(units, u);
	if (!u->opened)
		ret = unit_open_image(u, why);
	if (!ret)
		u->opened->users++;
	return ret;
}

static void unit_close(struct unit *u, bool served)
{
	struct unit_image *image = u->opened;

	if (!image || --image->users)
		return;
	image_close(image->storage, &u->image, served);
	free(image);
}

/* Behind the key at key, within what --lun has; there a comma stands, or a NUL. */
static const char *unit_key_end(const char *key)
{
	/* One which is doubled belongs to a value. */
	while (*key && (*key != ',' || key[1] == ','))
		key += *key == ',' ? 2 : 1;
	return key;
}

/* What --lun has, with this size in the place of the one which it says; NULL: it says none. */
static char *unit_name_resized(const char *name, uint64_t size)
{
	const char *end = unit_key_end(name), *key;
	char *text;

	while (*end) {
		key = end + 1;
		end = unit_key_end(key);
		if (strncmp(key, "size=", 5))
			continue;
		return asprintf(&text, "%.*ssize=%" PRIu64 "%s", (int)(key - name), name, size,
				end) < 0 ? NULL : text;
	}
	return NULL;
}

void units_take_sizes(struct units *units, struct option_list *luns)
{
	struct storage_info info;
	struct unit *u;
	char *name;

	for (u = units->first; u; u = u->next) {
		if (!u->opened || !u->image.size)
			continue;
		storage_info(u->opened->storage, &info);
		if (info.size == u->image.size)
			continue;
		name = unit_name_resized(u->name, info.size);
		if (!name || option_list_replace(luns, u->name, name)) {
			free(name);
			continue;
		}
		free(u->name);
		u->name = name;
		u->image.size = info.size;
	}
}

/*
 * Life
 */

void unit_log(const struct daemon_device *device, const struct unit *u)
{
	char about[IMAGE_TEXT_SIZE];

	if (u->passthrough) {
		device_log(device, VHOST_LOG_INFO, "unit %u:%u: %s", u->address.target, u->address.lun,
			   u->passthrough);
		return;
	}
	image_tell(u->opened->storage, &u->image, about);
	device_log(device, VHOST_LOG_INFO, "unit %u:%u: %s, %s%s", u->address.target, u->address.lun,
		   u->image.file ? u->image.file : "no image", about, u->cdrom ? ", CD-ROM" : "");
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
static const char *unit_serial(const struct unit *u, char buf[IMAGE_SERIAL_MAX + 1])
{
	const uint16_t address[2] = { u->address.target, u->address.lun };
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	char *path;

	if (u->image.serial || !u->image.file)
		return u->image.serial;
	path = realpath(u->image.file, NULL);
	h = unit_hash(h, path ? path : u->image.file, strlen(path ? path : u->image.file));
	h = unit_hash(h, address, sizeof(address));
	snprintf(buf, IMAGE_SERIAL_MAX + 1, "%016" PRIx64, h);
	free(path);
	return buf;
}

int unit_serve(struct units *units, struct unit *u, char why[UNIT_WHY_SIZE])
{
	char serial[IMAGE_SERIAL_MAX + 1];
	const struct scsi_lun_params params = {
		.address = u->address,
		.storage = u->opened ? u->opened->storage : NULL,
		.passthrough = u->passthrough,
		.timeout = u->timeout,
		.cdrom = u->cdrom,
		.block_size = u->cdrom ? 0 : image_block_size(&u->image),
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
