/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands of all kinds of units (SPC-4 6), and what a unit remembers. */
#include <stdlib.h>
#include <string.h>

#include "iov.h"
#include "scsi/op.h"

/*
 * State
 */

void spc_set_modes(struct scsi_lun *lun, unsigned int clear, unsigned int set)
{
	pthread_mutex_lock(&lun->lock);
	atomic_store(&lun->spc.modes, (atomic_load(&lun->spc.modes) & ~clear) | set);
	pthread_mutex_unlock(&lun->lock);
}

void spc_count_error(struct scsi_lun *lun, enum spc_error what)
{
	atomic_fetch_add_explicit(&lun->spc.errors[what], 1, memory_order_relaxed);
}

static unsigned int spc_first_modes(const struct scsi_lun *lun)
{
	return (lun->info.volatile_cache ? SPC_WCE : 0) |
	       (lun->params.cdrom ? SPC_MEDIA_NEW : 0);
}

int scsi_unit_init(struct scsi_lun *lun, char *why, size_t why_size)
{
	lun->spc.writers = NULL;
	lun->spc.writers_end = &lun->spc.writers;
	atomic_store(&lun->spc.modes, spc_first_modes(lun));
	return pr_init(lun, why, why_size);
}

void scsi_unit_exit(struct scsi_lun *lun)
{
	pr_exit(lun);
}

/*
 * Mode pages go back to what is saved, which are the defaults, with every reset of the unit
 * (SPC-4 5.8, SAM-5 6.3.2); only power on starts a unit that was stopped.
 */
void scsi_unit_reset(struct scsi_lun *lun, enum scsi_reset why)
{
	if (why == SCSI_RESET_POWER_ON)
		spc_set_modes(lun, ~0u, spc_first_modes(lun));
	else if (why == SCSI_RESET_UNIT)
		spc_set_modes(lun, SPC_WCE | SPC_D_SENSE | SPC_SWP | SPC_PREVENTED,
			      lun->info.volatile_cache ? SPC_WCE : 0);
	else
		spc_set_modes(lun, SPC_PREVENTED, 0);
	pr_reset(lun, why);
}

/*
 * Readiness
 */

void spc_test_unit_ready(struct scsi_cmd *cmd)
{
	scsi_good(cmd);
}

/* 6.39: what is waiting to be told becomes the data of this command. */
void spc_request_sense(struct scsi_cmd *cmd)
{
	struct sense_data data = { .code = SENSE_NONE };
	const uint8_t alloc = cmd->cdb[4];
	uint8_t buf[SENSE_LEN_MAX];
	uint16_t attention;
	size_t len;

	if (!scsi_room(cmd, alloc))
		return;
	if (op_kind(cmd) == OP_NO_UNIT)
		data.code = SENSE_BAD_UNIT;
	else if (cmd->lun && scsi_lun_take_attention(cmd->lun, &attention))
		data.code = 0x060000u | attention;
	else if (cmd->lun && spc_mode(cmd->lun, SPC_EJECTED))
		data.code = SENSE_NO_MEDIUM_OPEN;
	len = sense_build(buf, cmd->cdb[1] & 0x01, &data);
	scsi_reply(cmd, buf, len, alloc);
}

static void start_stop_flushed(struct storage_io *io, int err)
{
	struct scsi_cmd *cmd = container_of(io, struct scsi_cmd, io);

	if (err) {
		scsi_fail(cmd, SENSE_WRITE_ERROR);
		return;
	}
	spc_set_modes(cmd->lun, 0, SPC_STOPPED);
	scsi_good(cmd);
}

/* SBC-3 5.21: what is in the cache is written before the unit stops, unless NO_FLUSH. */
static void start_stop_stop(struct scsi_cmd *cmd)
{
	if (cmd->cdb[4] & 0x04 || cmd->lun->params.cdrom) {
		spc_set_modes(cmd->lun, 0, SPC_STOPPED);
		scsi_good(cmd);
		return;
	}
	cmd->io = (struct storage_io){ .op = STORAGE_FLUSH, .done = start_stop_flushed };
	storage_submit(scsi_cmd_chan(cmd), &cmd->io);
}

/* MMC-6 6.42: LOEJ with START loads, without it ejects. */
static void start_stop_tray(struct scsi_cmd *cmd, bool load)
{
	struct scsi_lun *lun = cmd->lun;
	const bool ejected = spc_mode(lun, SPC_EJECTED);

	if (!load && spc_mode(lun, SPC_PREVENTED)) {
		scsi_fail(cmd, SENSE_REMOVAL_PREVENTED);
		return;
	}
	if (load)
		spc_set_modes(lun, SPC_EJECTED | SPC_STOPPED | SPC_MEDIA_GONE,
			      ejected ? SPC_MEDIA_NEW : 0);
	else
		spc_set_modes(lun, SPC_MEDIA_NEW, SPC_EJECTED | (ejected ? 0 : SPC_MEDIA_GONE));
	/* NOT READY TO READY CHANGE, MEDIUM MAY HAVE CHANGED (MMC-6 4.1.6) */
	if (load && ejected)
		scsi_lun_attention(lun, 0x2800);
	scsi_good(cmd);
}

void spc_start_stop(struct scsi_cmd *cmd)
{
	const bool start = cmd->cdb[4] & 0x01, tray = cmd->cdb[4] & 0x02;

	if (tray) {
		start_stop_tray(cmd, start);
	} else if (!start) {
		start_stop_stop(cmd);
	} else {
		spc_set_modes(cmd->lun, SPC_STOPPED, 0);
		scsi_good(cmd);
	}
}

void spc_prevent_allow(struct scsi_cmd *cmd)
{
	spc_set_modes(cmd->lun, SPC_PREVENTED, cmd->cdb[4] & 0x01 ? SPC_PREVENTED : 0);
	scsi_good(cmd);
}

/*
 * SEND DIAGNOSTIC: the default self-test, which all units pass at once; there are neither others
 * nor diagnostic pages, so the list has no bytes.
 */
void spc_send_diagnostic(struct scsi_cmd *cmd)
{
	scsi_good(cmd);
}

/*
 * REPORT LUNS, 6.33.  The list can be long, so it is written in chunks.
 */

struct luns_out {
	struct scsi_cmd *cmd;
	uint8_t chunk[512];
	size_t used;			/* bytes of chunk */
	size_t off;			/* of chunk in the data */
	size_t alloc;
};

static void luns_flush(struct luns_out *out)
{
	size_t left = out->alloc - MIN(out->alloc, out->off);

	iov_write(out->cmd->in, out->cmd->in_cnt, out->off, out->chunk, MIN(out->used, left));
	out->off += out->used;
	out->used = 0;
}

static void luns_put(struct luns_out *out, uint64_t v)
{
	put_be64(&out->chunk[out->used], v);
	out->used += 8;
	if (out->used == sizeof(out->chunk))
		luns_flush(out);
}

/* SAM-5 4.7.7: peripheral device addressing up to 255, flat space addressing above. */
static uint64_t luns_entry(unsigned int lun)
{
	return (uint64_t)(lun < 256 ? lun : 0x4000 | lun) << 48;
}

#define LUNS_WELL_KNOWN	(UINT64_C(0xc101) << 48)

static unsigned int luns_count(const struct scsi_cmd *cmd)
{
	unsigned int n = 0;
	int lun;

	for (lun = scsi_next_lun(cmd, 0); lun >= 0; lun = scsi_next_lun(cmd, (unsigned int)lun + 1))
		n++;
	return n;
}

static size_t luns_write(struct scsi_cmd *cmd, size_t alloc, bool units, bool well_known)
{
	struct luns_out out = { .cmd = cmd, .alloc = alloc };
	unsigned int left = units ? luns_count(cmd) : 0;
	int lun = scsi_next_lun(cmd, 0);

	/* The length of the list is that of all of it. */
	luns_put(&out, (uint64_t)(left + well_known) * 8 << 32);
	for (; lun >= 0 && left; left--) {
		luns_put(&out, luns_entry((unsigned int)lun));
		lun = scsi_next_lun(cmd, (unsigned int)lun + 1);
	}
	if (well_known)
		luns_put(&out, LUNS_WELL_KNOWN);
	luns_flush(&out);
	return MIN(out.off, alloc);
}

void spc_report_luns(struct scsi_cmd *cmd)
{
	const uint32_t alloc = get_be32(&cmd->cdb[6]);
	const uint8_t select = cmd->cdb[2];

	if (select > 2) {
		scsi_fail_cdb(cmd, 2, -1);
		return;
	}
	if (alloc < 16) {
		scsi_fail_cdb(cmd, 6, -1);
		return;
	}
	if (!scsi_room(cmd, alloc))
		return;
	cmd->transferred = luns_write(cmd, alloc, select != 1, select != 0);
	scsi_clear_attention(cmd, SCSI_UA_LUNS_CHANGED);
	scsi_good(cmd);
}

/*
 * REPORT SUPPORTED OPERATION CODES, 6.35
 */

#define OPCODES_MAX	80		/* commands in the table, and room for more */
#define OPCODES_TIMEOUTS 12		/* bytes of a command timeouts descriptor */

/* No time is told: zero means so. */
static size_t opcodes_timeouts(uint8_t *p)
{
	memset(p, 0, OPCODES_TIMEOUTS);
	put_be16(p, OPCODES_TIMEOUTS - 2);
	return OPCODES_TIMEOUTS;
}

static size_t opcodes_entry(uint8_t *p, const struct scsi_op *op, bool timeouts)
{
	memset(p, 0, 8);
	p[0] = op->usage[0];
	put_be16(&p[2], op->flags & OP_ACTION ? op->action : 0);
	p[5] = (uint8_t)((timeouts ? 0x02 : 0) | (op->flags & OP_ACTION ? 0x01 : 0));
	put_be16(&p[6], op->len);
	return 8 + (timeouts ? opcodes_timeouts(p + 8) : 0);
}

static void opcodes_all(struct scsi_cmd *cmd, bool timeouts, size_t alloc)
{
	uint8_t data[4 + OPCODES_MAX * (8 + OPCODES_TIMEOUTS)];
	size_t len = 4;
	unsigned int i;

	for (i = 0; i < MIN(scsi_ops_count, OPCODES_MAX); i++) {
		if (op_supported(cmd, &scsi_ops[i]))
			len += opcodes_entry(data + len, &scsi_ops[i], timeouts);
	}
	put_be32(data, (uint32_t)(len - 4));
	scsi_reply(cmd, data, len, alloc);
}

/* The command meant, or NULL; *actions: those of this operation code have service actions. */
static const struct scsi_op *opcodes_find(const struct scsi_cmd *cmd, bool *actions)
{
	const uint16_t action = get_be16(&cmd->cdb[4]);
	const struct scsi_op *op;
	unsigned int i;

	*actions = false;
	for (i = 0; i < scsi_ops_count; i++) {
		op = &scsi_ops[i];
		if (op->usage[0] != cmd->cdb[3] || !op_supported(cmd, op))
			continue;
		*actions = op->flags & OP_ACTION;
		if (!*actions || op->action == action)
			return op;
	}
	return NULL;
}

/* SUPPORT 011b: as the standards say; 001b: there is none. */
static void opcodes_one(struct scsi_cmd *cmd, const struct scsi_op *op, bool timeouts, size_t alloc)
{
	uint8_t data[4 + OP_USAGE + OPCODES_TIMEOUTS] = { 0 };
	size_t len = 4;

	data[1] = op ? 0x03 : 0x01;
	if (op) {
		put_be16(&data[2], op->len);
		memcpy(&data[4], op->usage, op->len);
		if (op->flags & OP_ACTION)
			data[5] = (uint8_t)((data[5] & ~0x1f) | op->action);
		len += op->len;
		if (timeouts) {
			data[1] |= 0x80;
			len += opcodes_timeouts(data + len);
		}
	}
	scsi_reply(cmd, data, len, alloc);
}

void spc_report_opcodes(struct scsi_cmd *cmd)
{
	const uint32_t alloc = get_be32(&cmd->cdb[6]);
	const unsigned int options = cmd->cdb[2] & 0x07;
	const bool timeouts = cmd->cdb[2] & 0x80;
	const struct scsi_op *op;
	bool actions;

	if (options > 3) {
		scsi_fail_cdb(cmd, 2, 2);
		return;
	}
	if (!options) {
		opcodes_all(cmd, timeouts, alloc);
		return;
	}
	op = opcodes_find(cmd, &actions);
	/* 001b wants a command without service actions, 010b one with them, 011b takes both. */
	if (options == 1 && actions)
		scsi_fail_cdb(cmd, 2, 2);
	else if (options == 2 && op && !actions)
		scsi_fail_cdb(cmd, 2, 2);
	else if (options == 3 && op && !actions && get_be16(&cmd->cdb[4]))
		opcodes_one(cmd, NULL, timeouts, alloc);
	else
		opcodes_one(cmd, op, timeouts, alloc);
}

/* 6.36: ATS, ATSS, CTSS, LURS, QTS; QTSS, ITNRS.  There is no ACA to be cleared. */
void spc_report_tmfs(struct scsi_cmd *cmd)
{
	uint8_t data[16] = { 0xdc, 0x03 };
	const bool extended = cmd->cdb[2] & 0x80;
	const uint32_t alloc = get_be32(&cmd->cdb[6]);

	if (alloc < 4) {
		scsi_fail_cdb(cmd, 6, -1);
		return;
	}
	data[3] = extended ? 12 : 0;
	scsi_reply(cmd, data, extended ? sizeof(data) : 4, alloc);
}
