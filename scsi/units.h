/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The units of vhost-user-scsi: what --lun and lun-add say, and the images behind them.
 *
 * Units which say the same of the same file share an image.  All on the control worker.
 */
#ifndef SCSI_UNITS_H
#define SCSI_UNITS_H

#include <stdbool.h>

#include "daemons/options.h"
#include "scsi/scsi.h"

#define UNIT_WHY_SIZE 256

/* An opened image. */
struct image {
	struct storage *storage;
	unsigned int users;		/* units */
};

/* A unit; what --lun can say of it comes first. */
struct unit {
	const char *file;		/* NULL: not given */
	bool read_only, cdrom;
	enum storage_engine engine;
	enum storage_cache cache;
	uint64_t size;			/* bytes; 0: not given */
	unsigned int locking;		/* place in lockings */
	unsigned int block_size;	/* place in block_sizes */
	const char *serial;		/* NULL: not given */
	const char *passthrough;	/* likewise */
	const char *reservations;	/* likewise */
	unsigned int timeout;		/* of passthrough, in seconds; 0: not given */

	char *text;			/* into which these point; changed by the parser */
	char *name;			/* how --lun has it */
	struct scsi_address address;
	struct image *image;		/* NULL: passthrough, or not opened yet */
	int fd;				/* of the image, until it is opened; -1: none */
	bool given;			/* there was one: file is only its name */
	bool leaving;			/* it is being removed */
	struct unit *next;
};

/* All of them, in the order in which they came. */
struct units {
	struct unit *first, **last;
	struct scsi_target *target;	/* NULL: they are not served yet */
};

/* What --lun consists of. */
extern const struct option_def unit_keys[];

void units_init(struct units *units);
/* Close and free them.  If they have never been served, take back what opening has created. */
void units_free(struct units *units, bool served);

/* NULL: there is none at this address. */
struct unit *units_find(const struct units *units, const struct scsi_address *address);

/*
 * One more, from what --lun has.  -EINVAL, -ENOMEM, and the reason in why.
 */
int unit_new(struct units *units, const char *name, struct unit **unit, char why[UNIT_WHY_SIZE]);
void unit_free(struct units *units, struct unit *u, bool served);
/* Open what is behind it. */
int unit_open(struct units *units, struct unit *u, char why[UNIT_WHY_SIZE]);
/* From now on the driver has it.  units->target is there. */
int unit_serve(struct units *units, struct unit *u, char why[UNIT_WHY_SIZE]);
/* Tell the log about it. */
void unit_log(const struct unit *u, const struct vhost_dev *dev);

/*
 * "TARGET:LUN" or "LUN" at text; what follows behind a comma goes to *rest.  NULL, or the reason.
 */
const char *unit_parse_address(char *text, struct scsi_address *address, char **rest);

#endif /* SCSI_UNITS_H */
