/* SPDX-License-Identifier: BSD-3-Clause */
/* LOG SENSE (SPC-4 6.8 and 7.3): counters of errors, and informational exceptions. */
#include <string.h>

#include "scsi/op.h"

#define LOG_PAGE_MAX	64u		/* bytes */

/* A parameter of a page: header and value. */
static size_t log_parameter(uint8_t *p, uint16_t code, uint8_t flags, const uint8_t *value,
			    uint8_t len)
{
	put_be16(p, code);
	p[2] = flags;
	p[3] = len;
	memcpy(p + 4, value, len);
	return 4u + len;
}

/* 7.3.7 and on: total uncorrected errors. */
static size_t log_errors(const struct scsi_cmd *cmd, uint8_t *p, enum spc_error what)
{
	uint8_t value[8];

	put_be64(value, atomic_load_explicit(&cmd->lun->spc.errors[what], memory_order_relaxed));
	return log_parameter(p, 0x0006, 0x00, value, sizeof(value));
}

static size_t log_write_errors(const struct scsi_cmd *cmd, uint8_t *p)
{
	return log_errors(cmd, p, SPC_WRITE_ERRORS);
}

static size_t log_read_errors(const struct scsi_cmd *cmd, uint8_t *p)
{
	return log_errors(cmd, p, SPC_READ_ERRORS);
}

static size_t log_verify_errors(const struct scsi_cmd *cmd, uint8_t *p)
{
	return log_errors(cmd, p, SPC_VERIFY_ERRORS);
}

/* 7.3.11: no exception, no temperature. */
static size_t log_exceptions(const struct scsi_cmd *cmd, uint8_t *p)
{
	const uint8_t value[4] = { 0x00, 0x00, 0xff, 0x00 };

	(void)cmd;
	return log_parameter(p, 0x0000, 0x03, value, sizeof(value));
}

static size_t log_pages(const struct scsi_cmd *cmd, uint8_t *p);
static size_t log_subpages(const struct scsi_cmd *cmd, uint8_t *p);

static const struct log_page {
	uint8_t code, sub;
	unsigned int kinds;
	uint16_t last;			/* its highest parameter code */
	size_t (*fill)(const struct scsi_cmd *cmd, uint8_t *p);
} log_list[] = {
	{ 0x00, 0x00, OP_UNITS, 0, log_pages },
	{ 0x00, 0xff, OP_UNITS, 0, log_subpages },
	{ 0x02, 0x00, OP_DISK, 6, log_write_errors },
	{ 0x03, 0x00, OP_UNITS, 6, log_read_errors },
	{ 0x05, 0x00, OP_UNITS, 6, log_verify_errors },
	{ 0x2f, 0x00, OP_UNITS, 0, log_exceptions },
};

/* 7.3.16: a byte per page. */
static size_t log_pages(const struct scsi_cmd *cmd, uint8_t *p)
{
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(log_list); i++) {
		if (log_list[i].kinds & op_kind(cmd) && !log_list[i].sub)
			p[n++] = log_list[i].code;
	}
	return n;
}

/* 7.3.17: two bytes per page and subpage. */
static size_t log_subpages(const struct scsi_cmd *cmd, uint8_t *p)
{
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(log_list); i++) {
		if (!(log_list[i].kinds & op_kind(cmd)))
			continue;
		p[n++] = log_list[i].code;
		p[n++] = log_list[i].sub;
	}
	return n;
}

static const struct log_page *log_find(const struct scsi_cmd *cmd)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(log_list); i++) {
		if (log_list[i].kinds & op_kind(cmd) &&
		    log_list[i].code == (cmd->cdb[2] & 0x3f) && log_list[i].sub == cmd->cdb[3])
			return &log_list[i];
	}
	return NULL;
}

static void log_reply(struct scsi_cmd *cmd, const struct log_page *page)
{
	uint8_t data[4 + LOG_PAGE_MAX] = { 0 };
	const size_t len = page->fill(cmd, data + 4);

	data[0] = (uint8_t)(page->code | (page->sub ? 0x40 : 0));
	data[1] = page->sub;
	put_be16(&data[2], (uint16_t)len);
	scsi_reply(cmd, data, 4 + len, get_be16(&cmd->cdb[7]));
}

/* There is no such page, or the page has no such subpage. */
static void log_unknown(struct scsi_cmd *cmd)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(log_list); i++) {
		if (log_list[i].code == (cmd->cdb[2] & 0x3f) && log_list[i].kinds & op_kind(cmd)) {
			scsi_fail_cdb(cmd, 3, -1);
			return;
		}
	}
	scsi_fail_cdb(cmd, 2, 5);
}

/* There is only one set of values: the cumulative ones (PC 01b). */
void spc_log_sense(struct scsi_cmd *cmd)
{
	const struct log_page *page = log_find(cmd);
	const uint8_t pc = cmd->cdb[2] >> 6;

	if (!page)
		log_unknown(cmd);
	/* The lists of pages have no values. */
	else if (pc != 1 && page->code)
		scsi_fail_cdb(cmd, 2, 7);
	/* Each page has one parameter, so a pointer up to it leaves all of the page. */
	else if (get_be16(&cmd->cdb[5]) > page->last)
		scsi_fail_cdb(cmd, 5, -1);
	else
		log_reply(cmd, page);
}
