/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The units of vhost-user-scsi: what --lun and lun-add say, and the images behind them.
 *
 * Units which say the same of the same file share an image.  All on the control worker.
 */
#ifndef SCSI_UNITS_H
#define SCSI_UNITS_H

#include <stdbool.h>

#include "daemons/image.h"
#include "daemons/options.h"
#include "scsi/scsi.h"

#define UNIT_WHY_SIZE IMAGE_WHY_SIZE

/* An opened image. */
struct unit_image {
	struct storage *storage;
	unsigned int users;		/* units */
};

/* A unit; what --lun can say of it comes first. */
struct unit {
	struct image_options image;	/* a CD-ROM's is read-only, said or not */
	bool cdrom;
	const char *passthrough;	/* NULL: not given */
	const char *reservations;	/* likewise */
	unsigned int timeout;		/* of passthrough, in seconds; 0: not given */

	char *text;			/* into which these point; changed by the parser */
	char *name;			/* how --lun has it */
	struct scsi_address address;
	struct unit_image *opened;	/* NULL: passthrough, or not opened yet */
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
/*
 * Images may have other sizes by now: where a size is said of a unit, say this one, here and in what
 * --lun has.
 */
void units_take_sizes(struct units *units, struct option_list *luns);
/* Tell the log about it. */
void unit_log(const struct daemon_device *device, const struct unit *u);

/*
 * "TARGET:LUN" or "LUN" at text; what follows behind a comma goes to *rest.  NULL, or the reason.
 */
const char *unit_parse_address(char *text, struct scsi_address *address, char **rest);

#endif /* SCSI_UNITS_H */
