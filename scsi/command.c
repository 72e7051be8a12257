/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a CDB to the function which carries it out.
 *
 * Here is judged what holds for all commands, in the order of SAM-5 5.3.3 and SPC-4 4.3: is
 * there such a command, does a reservation forbid it, are bits set which mean nothing, is
 * the medium ready and may it be written.  Bits which SPC-4 and SBC-3 call reserved, and those
 * of features which the unit does not have (protection information, grouping, NACA of the
 * CONTROL byte), are not in the command's usage mask, and cost it INVALID FIELD IN CDB.
 */
#include "scsi/command.h"

#include <string.h>

#include "iov.h"
#include "scsi/op.h"

/*
 * Data
 */

static void scsi_overrun(struct scsi_cmd *cmd)
{
	cmd->outcome = SCSI_OVERRUN;
	scsi_finish(cmd);
}

bool scsi_room(struct scsi_cmd *cmd, size_t alloc)
{
	if (alloc <= cmd->in_len)
		return true;
	scsi_overrun(cmd);
	return false;
}

bool scsi_given(struct scsi_cmd *cmd, size_t n)
{
	if (n <= cmd->out_len)
		return true;
	scsi_overrun(cmd);
	return false;
}

void scsi_reply(struct scsi_cmd *cmd, const void *data, size_t len, size_t alloc)
{
	if (!scsi_room(cmd, alloc))
		return;
	cmd->transferred = iov_write(cmd->in, cmd->in_cnt, 0, data, MIN(len, alloc));
	scsi_good(cmd);
}

size_t scsi_param(const struct scsi_cmd *cmd, size_t off, void *buf, size_t n)
{
	return iov_read(cmd->out, cmd->out_cnt, off, buf, n);
}

void scsi_end(struct scsi_cmd *cmd, enum scsi_status status)
{
	cmd->status = status;
	scsi_finish(cmd);
}

void scsi_good(struct scsi_cmd *cmd)
{
	scsi_end(cmd, SCSI_GOOD);
}

/*
 * Finding the command
 */

unsigned int op_kind(const struct scsi_cmd *cmd)
{
	if (!cmd->lun)
		return cmd->address.report_luns ? OP_WELL_KNOWN : OP_NO_UNIT;
	return cmd->lun->params.cdrom ? OP_CDROM : OP_DISK;
}

bool op_supported(const struct scsi_cmd *cmd, const struct scsi_op *op)
{
	if (!(op->flags & op_kind(cmd)))
		return false;
	return !(op->flags & OP_THIN) || scsi_lun_thin(cmd->lun);
}

/* Place of the first one of each operation code in the table, or its end. */
static uint8_t op_first[256];

static void op_make_index(void)
{
	unsigned int i;

	memset(op_first, (int)scsi_ops_count, sizeof(op_first));
	for (i = scsi_ops_count; i--;)
		op_first[scsi_ops[i].usage[0]] = (uint8_t)i;
}

void scsi_execute_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, op_make_index);
}

/* The command, or NULL; *opcode: there are others with its operation code. */
static const struct scsi_op *op_find(const struct scsi_cmd *cmd, bool *opcode)
{
	unsigned int i;

	*opcode = false;
	for (i = op_first[cmd->cdb[0]]; i < scsi_ops_count; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		if (op->usage[0] != cmd->cdb[0])
			break;
		if (!op_supported(cmd, op))
			continue;
		*opcode = true;
		if (!(op->flags & OP_ACTION) || op->action == (cmd->cdb[1] & 0x1f))
			return op;
	}
	return NULL;
}

static void op_unknown(struct scsi_cmd *cmd, bool opcode)
{
	if (op_kind(cmd) == OP_NO_UNIT)
		scsi_fail(cmd, SENSE_BAD_UNIT);
	else if (opcode)
		scsi_fail_cdb(cmd, 1, 4);	/* the service action */
	else
		scsi_fail(cmd, SENSE_BAD_OPCODE);
}

/*
 * Judging it
 */

/* The bits which are set and must not be, of eight bytes from this one on; the first in front. */
static uint64_t op_bad_bits(const struct scsi_cmd *cmd, const struct scsi_op *op, unsigned int at)
{
	const uint64_t bad = get_be64(&cmd->cdb[at]) & ~get_be64(&op->usage[at]);
	const unsigned int len = op->len > at ? op->len - at : 0;

	if (!len)
		return 0;
	return len < 8 ? bad >> (64 - 8 * len) : bad;
}

/* The first byte in which a bit is set that must not be, or 0; *bit is the highest one. */
static unsigned int op_bad_field(const struct scsi_cmd *cmd, const struct scsi_op *op, int *bit)
{
	unsigned int i, bad;

	/* Nearly always there is none, and bytes one by one take long. */
	if (likely(!op_bad_bits(cmd, op, 0) && !op_bad_bits(cmd, op, 8)))
		return 0;
	for (i = 1; i < op->len; i++) {
		bad = cmd->cdb[i] & ~op->usage[i] & 0xffu;
		if (bad) {
			*bit = 31 - __builtin_clz(bad);
			return i;
		}
	}
	return 0;
}

/* SPC_* to sense, 0: the medium is ready. */
static uint32_t op_not_ready(const struct scsi_lun *lun)
{
	if (likely(!spc_mode(lun, SPC_STOPPED | SPC_EJECTED)))
		return 0;
	return spc_mode(lun, SPC_EJECTED) ? SENSE_NO_MEDIUM_OPEN : SENSE_NOT_STARTED;
}

static uint32_t op_write_protected(const struct scsi_lun *lun)
{
	if (lun->info.read_only)
		return SENSE_READ_ONLY;
	return spc_mode(lun, SPC_SWP) ? SENSE_SOFTWARE_READ_ONLY : 0;
}

static uint32_t op_hindered(const struct scsi_lun *lun, const struct scsi_op *op)
{
	uint32_t sense = 0;

	if (op->flags & OP_MEDIUM)
		sense = op_not_ready(lun);
	if (!sense && op->flags & OP_WRITES)
		sense = op_write_protected(lun);
	return sense;
}

static void op_run(struct scsi_cmd *cmd, const struct scsi_op *op)
{
	unsigned int byte;
	uint32_t sense;
	int bit;

	if (cmd->lun && pr_conflict(cmd, op)) {
		scsi_end(cmd, SCSI_RESERVATION_CONFLICT);
		return;
	}
	byte = op_bad_field(cmd, op, &bit);
	if (byte) {
		scsi_fail_cdb(cmd, byte, bit);
		return;
	}
	sense = cmd->lun ? op_hindered(cmd->lun, op) : 0;
	if (sense)
		scsi_fail(cmd, sense);
	else
		op->run(cmd);
}

void scsi_execute(struct scsi_cmd *cmd)
{
	const struct scsi_op *op;
	bool opcode;

	op = op_find(cmd, &opcode);
	if (op)
		op_run(cmd, op);
	else
		op_unknown(cmd, opcode);
}
