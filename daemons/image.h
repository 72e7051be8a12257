/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Images as options describe them: the one place for what vhost-user-blk says of its disk and
 * vhost-user-scsi of each unit.
 *
 * A table has IMAGE_OPTIONS() among its rows, for a struct image_options in its values.
 */
#ifndef DAEMONS_IMAGE_H
#define DAEMONS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon.h"
#include "storage/storage.h"

#define IMAGE_WHY_SIZE 256
#define IMAGE_SERIAL_MAX 20		/* bytes, as virtio-blk has room for */
#define IMAGE_TEXT_SIZE 96

/* What the options say; zero is the default of each. */
struct image_options {
	const char *file;		/* NULL: not given */
	bool read_only;
	enum storage_engine engine;
	enum storage_cache cache;
	uint64_t size;			/* bytes; 0: not given */
	unsigned int locking;		/* place in image_lockings */
	unsigned int block_size;	/* place in image_block_sizes */
	const char *serial;		/* NULL: not given */
};

/* The words of the choices. */
extern const char *const image_engines[], *const image_caches[], *const image_lockings[],
	*const image_block_sizes[];

/*
 * The rows, for the field image of a structure of this type; the file is called so, and the help
 * refers to other options with such dashes before their names.
 */
#define IMAGE_OPTIONS(type, file_name, dashes) \
	{ file_name, OPTION_TEXT, .offset = offsetof(type, image.file), .arg = "PATH", \
	  .help = "the image: a file or block device" }, \
	{ "read-only", OPTION_FLAG, .offset = offsetof(type, image.read_only), \
	  .help = "the guest cannot change the image" }, \
	{ "locking", OPTION_CHOICE, .offset = offsetof(type, image.locking), \
	  .choices = image_lockings, \
	  .help = "keep other processes off the image (default on)" }, \
	{ "engine", OPTION_CHOICE, .offset = offsetof(type, image.engine), \
	  .choices = image_engines, \
	  .help = "how to reach the image (default auto); null: no image, for benchmarks" }, \
	{ "cache", OPTION_CHOICE, .offset = offsetof(type, image.cache), \
	  .choices = image_caches, .help = "use of the page cache (default writeback)" }, \
	{ "size", OPTION_SIZE, .offset = offsetof(type, image.size), .arg = "BYTES", .min = 512, \
	  .max = INT64_MAX, .help = "create the image if it is missing; size of " dashes \
				    "engine=null; with K, M, G or T" }, \
	{ "block-size", OPTION_CHOICE, .offset = offsetof(type, image.block_size), \
	  .choices = image_block_sizes, \
	  .help = "the guest's logical block, in bytes (default 512)" }, \
	{ "serial", OPTION_TEXT, .offset = offsetof(type, image.serial), .arg = "TEXT", \
	  .max = IMAGE_SERIAL_MAX, .help = "the serial number, up to 20 bytes" }

/* How messages write the names of options. */
struct image_names {
	const char *dashes;		/* before each */
	const char *file;		/* that of the image */
};

/*
 * Whether the options make sense together, if the guest's logical block has this many bytes;
 * otherwise -EINVAL, and the reason in why.
 */
int image_check(const struct image_options *o, const struct image_names *names,
		unsigned int block, char why[IMAGE_WHY_SIZE]);

unsigned int image_block_size(const struct image_options *o);	/* bytes */
/* Whether both say the same of the same file, so that one opened image does for them. */
bool image_same(const struct image_options *a, const struct image_options *b);

/* What the sandbox has to leave for it. */
void image_need(struct daemon_device *device, const struct image_options *o);
/*
 * Open it; fd: somebody has done so already, and the file is only its name, or NULL.  Close it; if
 * it has never been served, take back what opening has created.
 */
int image_open(struct storage **storage, const struct image_options *o, const int *fd,
	       char why[IMAGE_WHY_SIZE]);
void image_close(struct storage *storage, const struct image_options *o, bool served);

/* For the log: its size, engine and cache. */
void image_tell(const struct storage *storage, const struct image_options *o,
		char text[IMAGE_TEXT_SIZE]);
/* Log that io has failed with err; unit: in front of that, or "".  Queue's worker. */
void image_io_error(struct vhost_queue *q, const char *unit, const struct storage_io *io, int err);
/* For the answer to "status". */
void image_status(const struct storage *storage, const struct image_options *o,
		  struct json_object *status);

#endif /* DAEMONS_IMAGE_H */
