/* SPDX-License-Identifier: BSD-3-Clause */
/* Units which are passed-through devices of the host: /dev/sg of Linux. */
#ifndef SCSI_PASS_H
#define SCSI_PASS_H

#include "scsi/lun.h"

struct pass_chan;

/* Whether the unit's params.passthrough is such a device that can be used. */
int pass_check(const struct scsi_lun *lun, char *why, size_t why_size);

/* A nexus's way to the device; closed with no command in work.  On the nexus's worker. */
int pass_chan_open(const struct scsi_lun *lun, struct vhost_worker *w, struct pass_chan **chan);
void pass_chan_close(struct pass_chan *chan);

/* Carry out a command, as scsi_execute() does. */
void pass_execute(struct pass_chan *chan, struct scsi_cmd *cmd);

#endif /* SCSI_PASS_H */
