/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command half: what a logical unit does with a CDB.  It knows neither virtqueues nor
 * targets; the transport half (lun.h) calls it.
 */
#ifndef SCSI_COMMAND_H
#define SCSI_COMMAND_H

#include "scsi/scsi.h"
#include "scsi/state.h"

/*
 * The unit has just been made: all but this half's state is filled in.  Reads the file of
 * persistent reservations.  Nobody else uses the unit yet.  Not for passthrough.
 */
int scsi_unit_init(struct scsi_lun *lun, char *why, size_t why_size);
void scsi_unit_exit(struct scsi_lun *lun);

/* Why a unit's state is as at first again. */
enum scsi_reset {
	SCSI_RESET_POWER_ON,		/* the driver starts anew, as if power had been lost */
	SCSI_RESET_UNIT,		/* LOGICAL UNIT RESET */
	SCSI_RESET_NEXUS,		/* I_T NEXUS RESET: reservations of RESERVE only */
};
/* Control worker; takes the unit's lock. */
void scsi_unit_reset(struct scsi_lun *lun, enum scsi_reset why);

/* Before the first command of the process.  Any thread. */
void scsi_execute_init(void);

/*
 * Carry out a command, which ends with scsi_finish(), at once or later.  cmd->lun is NULL for a
 * unit which does not exist, in a target which does, and for the well-known REPORT LUNS
 * (cmd->address.report_luns): such a command must end at once.  Unit attention has been looked
 * at, reservations have not.  On the command's worker.
 */
void scsi_execute(struct scsi_cmd *cmd);

/* CHECK CONDITION, with this sense key and ASC << 8 | ASCQ; the command has not ended yet. */
void scsi_check_condition(struct scsi_cmd *cmd, uint8_t key, uint16_t asc_ascq);

#endif /* SCSI_COMMAND_H */
