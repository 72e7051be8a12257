/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands by operation code, and what their functions share.
 *
 * The table in opcodes.c says of each command who has it and which bits of its CDB mean
 * something; command.c judges all of it before the command's function is called, so the
 * functions check only what is a matter of values.
 */
#ifndef SCSI_OP_H
#define SCSI_OP_H

#include "scsi/bytes.h"
#include "scsi/lun.h"
#include "scsi/sense.h"
#include "util.h"

#define OP_USAGE	16		/* bytes of the longest CDB in the table */

enum op_flags {
	/* who has it */
	OP_DISK = 1 << 0,
	OP_CDROM = 1 << 1,
	OP_WELL_KNOWN = 1 << 2,		/* the unit REPORT LUNS */
	OP_NO_UNIT = 1 << 3,		/* a unit which does not exist */
	OP_UNITS = OP_DISK | OP_CDROM,
	OP_ALL = OP_UNITS | OP_WELL_KNOWN | OP_NO_UNIT,

	OP_ACTION = 1 << 4,		/* it has a service action */
	OP_MEDIUM = 1 << 5,		/* needs a medium which is ready */
	OP_WRITES = 1 << 6,		/* needs one which may be written */
	OP_THIN = 1 << 7,		/* only where blocks can be unmapped */

	/*
	 * Whether another initiator's reservation forbids it, SPC-4 table 68, SBC-3 table 14;
	 * SPC-2 table 9 for those of RESERVE.  Without any of these it counts as a write.
	 */
	OP_ALWAYS = 1 << 8,		/* none does */
	OP_PERSISTENT = 1 << 9,		/* no persistent one does, but one of RESERVE */
	OP_READS = 1 << 10,		/* one for exclusive access does, and one of RESERVE */
	OP_ALWAYS_UNLESS = 1 << 11,	/* none does, unless a bit of byte 4 is set as in PREVENT ALLOW
					 * MEDIUM REMOVAL, or clear as in START STOP UNIT */
};

struct scsi_op {
	const char *name;
	void (*run)(struct scsi_cmd *cmd);
	unsigned int flags;
	uint8_t action;			/* its service action, of OP_ACTION */
	uint8_t len;			/* of the CDB, bytes */
	/* The operation code, and the bits of each further byte which may be set. */
	uint8_t usage[OP_USAGE];
};

/* All commands, sorted by operation code. */
extern const struct scsi_op scsi_ops[];
extern const unsigned int scsi_ops_count;

/* What the unit is: one of OP_DISK, OP_CDROM, OP_WELL_KNOWN, OP_NO_UNIT. */
unsigned int op_kind(const struct scsi_cmd *cmd);
/* Whether the unit has this command. */
bool op_supported(const struct scsi_cmd *cmd, const struct scsi_op *op);

/*
 * Data of a command.  Both end the command themselves where the CDB wants more room than
 * there is (VIRTIO 5.6.6.1.1, response OVERRUN).
 */

/* The answer is these bytes, of which the initiator wants at most alloc: end the command. */
void scsi_reply(struct scsi_cmd *cmd, const void *data, size_t len, size_t alloc);
/* Whether alloc bytes have room; otherwise the command has ended. */
bool scsi_room(struct scsi_cmd *cmd, size_t alloc);
/* Whether n bytes of the initiator's data are there; otherwise the command has ended. */
bool scsi_given(struct scsi_cmd *cmd, size_t n);
/* Copy data-out bytes from off on; returns how many there were. */
size_t scsi_param(const struct scsi_cmd *cmd, size_t off, void *buf, size_t n);

/* End the command with this status and no sense data. */
void scsi_end(struct scsi_cmd *cmd, enum scsi_status status);
void scsi_good(struct scsi_cmd *cmd);

/* Modes of a unit. */
static inline bool spc_mode(const struct scsi_lun *lun, unsigned int modes)
{
	return atomic_load_explicit(&lun->spc.modes, memory_order_relaxed) & modes;
}

void spc_set_modes(struct scsi_lun *lun, unsigned int clear, unsigned int set);
/* Such a thing has failed, for LOG SENSE. */
void spc_count_error(struct scsi_lun *lun, enum spc_error what);

/* Whether the unit's blocks can be unmapped, and read as zeroes then. */
static inline bool scsi_lun_thin(const struct scsi_lun *lun)
{
	return !lun->info.read_only && (lun->info.discard_max || lun->info.zero_unmap);
}

/* Largest number of blocks of a command, told on the block limits page (SBC-3 6.5.3). */
#define SBC_TRANSFER_MAX	(UINT32_C(32) << 20)	/* bytes */
#define SBC_SAME_MAX		(UINT32_C(256) << 20)	/* bytes of WRITE SAME */
#define SBC_COMPARE_MAX		255			/* blocks of COMPARE AND WRITE */
#define SBC_UNMAP_RANGES	256			/* of UNMAP */

uint32_t sbc_unmap_max(const struct scsi_lun *lun);

/* pr.c: whether somebody else's reservation forbids the command. */
bool pr_conflict(const struct scsi_cmd *cmd, const struct scsi_op *op);
int pr_init(struct scsi_lun *lun, char *why, size_t why_size);
void pr_exit(struct scsi_lun *lun);
void pr_reset(struct scsi_lun *lun, enum scsi_reset why);

/* pr_file.c, both with file_lock held, or before anybody else has the unit */
int pr_load(struct pr_state *pr, const char *path, char *why, size_t why_size);
int pr_save(struct pr_state *pr);

/*
 * range.c: call go(cmd), at once or later, when no command which has come before hinders
 * it from changing the blocks cmd->lba to cmd->lba + cmd->blocks; exclusive: and whoever else
 * changes some of them comes before or after it.  Until range_leave().
 */
void range_enter(struct scsi_cmd *cmd, bool exclusive, void (*go)(struct scsi_cmd *cmd));
void range_leave(struct scsi_cmd *cmd);

/* The functions of the commands */
void spc_inquiry(struct scsi_cmd *cmd);
void spc_log_sense(struct scsi_cmd *cmd);
void spc_mode_select(struct scsi_cmd *cmd);
void spc_mode_sense(struct scsi_cmd *cmd);
void spc_prevent_allow(struct scsi_cmd *cmd);
void spc_report_luns(struct scsi_cmd *cmd);
void spc_report_opcodes(struct scsi_cmd *cmd);
void spc_report_tmfs(struct scsi_cmd *cmd);
void spc_request_sense(struct scsi_cmd *cmd);
void spc_send_diagnostic(struct scsi_cmd *cmd);
void spc_start_stop(struct scsi_cmd *cmd);
void spc_test_unit_ready(struct scsi_cmd *cmd);

void pr_in(struct scsi_cmd *cmd);
void pr_out(struct scsi_cmd *cmd);
void pr_reserve(struct scsi_cmd *cmd);
void pr_release(struct scsi_cmd *cmd);

void sbc_compare_and_write(struct scsi_cmd *cmd);
void sbc_format_unit(struct scsi_cmd *cmd);
void sbc_get_lba_status(struct scsi_cmd *cmd);
void sbc_or_write(struct scsi_cmd *cmd);
void sbc_prefetch(struct scsi_cmd *cmd);
void sbc_read(struct scsi_cmd *cmd);
void sbc_read_capacity10(struct scsi_cmd *cmd);
void sbc_read_capacity16(struct scsi_cmd *cmd);
void sbc_sync_cache(struct scsi_cmd *cmd);
void sbc_unmap(struct scsi_cmd *cmd);
void sbc_verify(struct scsi_cmd *cmd);
void sbc_write(struct scsi_cmd *cmd);
void sbc_write_and_verify(struct scsi_cmd *cmd);
void sbc_write_same(struct scsi_cmd *cmd);

void mmc_get_configuration(struct scsi_cmd *cmd);
void mmc_get_event_status(struct scsi_cmd *cmd);
void mmc_mechanism_status(struct scsi_cmd *cmd);
void mmc_read_cd(struct scsi_cmd *cmd);
void mmc_read_disc_information(struct scsi_cmd *cmd);
void mmc_read_toc(struct scsi_cmd *cmd);
void mmc_read_track_information(struct scsi_cmd *cmd);
void mmc_set_cd_speed(struct scsi_cmd *cmd);

#endif /* SCSI_OP_H */
