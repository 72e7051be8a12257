/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mode pages (SPC-4 6.10 to 6.13 and 7.5, SBC-3 6.4, MMC-6 7.2).
 *
 * A page is a row of constant bytes and, in some of them, a bit which is one of the unit's
 * modes; some of those may be changed.  Nothing is saved.
 */
#include <string.h>

#include "scsi/op.h"

#define MODE_LIST_MAX	256u		/* bytes of all pages with header and block descriptor */

struct mode_page {
	uint8_t code, sub;
	unsigned int kinds;		/* OP_* */
	uint8_t len;			/* bytes behind the page's header */
	uint8_t body[28];		/* beginning with byte 2, of a subpage with byte 4 */
};

static const struct mode_page mode_pages[] = {
	/* SBC-3 6.4.8, MMC-6 7.3: read-write error recovery; no retries are counted */
	{ 0x01, 0x00, OP_UNITS, 10, { 0 } },
	/* SBC-3 6.4.5: caching */
	{ 0x08, 0x00, OP_DISK, 18, { 0 } },
	/* 7.5.8: control; QUEUE ALGORITHM MODIFIER: unrestricted reordering */
	{ 0x0a, 0x00, OP_UNITS, 10, { 0x00, 0x10 } },
	/* 7.5.9: control extension; MAXIMUM SENSE DATA LENGTH */
	{ 0x0a, 0x01, OP_DISK, 28, { 0x00, 0x00, SCSI_SENSE_MAX } },
	/* 7.5.11: informational exceptions control; DEXCPT: none are reported */
	{ 0x1c, 0x00, OP_UNITS, 10, { 0x08 } },
	/* MMC-3 5.5.10: capabilities; CD-R, CD-RW and DVD-ROM are read, tray, lock and eject, buffer
	 * of 2048 kB, 50 x CD speed */
	{ 0x2a, 0x00, OP_CDROM, 20,
	  { 0x0b, 0x00, 0x00, 0x00, 0x29, 0x00, 0x22, 0x7a, 0x00, 0x00, 0x08, 0x00, 0x22, 0x7a } },
};

/* Modes which are bits of pages. */
static const struct mode_bit {
	uint8_t code;			/* of a page without subpage */
	uint8_t at, mask;		/* byte of the body, bit */
	unsigned int mode;		/* SPC_* */
	bool changeable;
} mode_bits[] = {
	{ 0x08, 0, 0x04, SPC_WCE, true },
	{ 0x0a, 0, 0x04, SPC_D_SENSE, true },
	{ 0x0a, 2, 0x08, SPC_SWP, true },
	{ 0x2a, 4, 0x02, SPC_PREVENTED, false },
};

/* Page control (6.11.4). */
enum mode_pc { MODE_CURRENT, MODE_CHANGEABLE, MODE_DEFAULT, MODE_SAVED };

/* WCE of a unit without a cache, and SWP of one which cannot be written, do not change. */
static bool mode_changeable(const struct scsi_lun *lun, const struct mode_bit *bit)
{
	if (bit->mode == SPC_WCE)
		return lun->info.volatile_cache;
	return bit->changeable && (bit->mode != SPC_SWP || !lun->params.cdrom);
}

static bool mode_bit_set(const struct scsi_lun *lun, const struct mode_bit *bit, enum mode_pc pc)
{
	if (pc == MODE_CHANGEABLE)
		return mode_changeable(lun, bit);
	if (pc == MODE_DEFAULT)
		return bit->mode == SPC_WCE && lun->info.volatile_cache;
	return spc_mode(lun, bit->mode);
}

static bool mode_page_is(const struct scsi_cmd *cmd, const struct mode_page *page, uint8_t code,
			 uint8_t sub)
{
	return page->kinds & op_kind(cmd) && page->code == code && page->sub == sub;
}

/* The page with its header; returns its length. */
static size_t mode_fill(const struct scsi_lun *lun, const struct mode_page *page, enum mode_pc pc,
			uint8_t *p)
{
	const size_t header = page->sub ? 4 : 2;
	unsigned int i;

	p[0] = (uint8_t)(page->code | (page->sub ? 0x40 : 0));
	if (page->sub) {
		p[1] = page->sub;
		put_be16(&p[2], page->len);
	} else {
		p[1] = page->len;
	}
	memset(p + header, 0, page->len);
	if (pc != MODE_CHANGEABLE)
		memcpy(p + header, page->body, page->len);
	for (i = 0; i < ARRAY_SIZE(mode_bits) && !page->sub; i++) {
		if (mode_bits[i].code == page->code && mode_bit_set(lun, &mode_bits[i], pc))
			p[header + mode_bits[i].at] |= mode_bits[i].mask;
	}
	return header + page->len;
}

/*
 * MODE SENSE
 */

static bool mode_wanted(const struct scsi_cmd *cmd, const struct mode_page *page)
{
	const uint8_t code = cmd->cdb[2] & 0x3f, sub = cmd->cdb[3];

	if (!(page->kinds & op_kind(cmd)) || (code != 0x3f && code != page->code))
		return false;
	/* All pages are asked for without their subpages, or with them; the rest is reserved. */
	return sub == 0xff || (sub == page->sub && (code != 0x3f || !sub));
}

/* Bytes of all pages wanted, at p. */
static size_t mode_fill_wanted(const struct scsi_cmd *cmd, uint8_t *p)
{
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mode_pages); i++) {
		if (mode_wanted(cmd, &mode_pages[i]))
			len += mode_fill(cmd->lun, &mode_pages[i], cmd->cdb[2] >> 6, p + len);
	}
	return len;
}

/* DEVICE-SPECIFIC PARAMETER: WP and DPOFUA (SBC-3 6.4.1); MMC has none. */
static uint8_t mode_device_specific(const struct scsi_lun *lun)
{
	if (lun->params.cdrom)
		return 0;
	return (uint8_t)(0x10 | (lun->info.read_only || spc_mode(lun, SPC_SWP) ? 0x80 : 0));
}

/* SBC-3 6.4.2; returns the length.  Numbers of blocks which have no room are all ones. */
static size_t mode_block_descriptor(const struct scsi_lun *lun, bool is_long, uint8_t *p)
{
	const uint64_t blocks = scsi_lun_blocks(lun);

	memset(p, 0, 16);
	if (is_long) {
		put_be64(p, blocks);
		put_be32(&p[12], lun->block_size);
		return 16;
	}
	put_be32(p, (uint32_t)MIN(blocks, UINT32_MAX));
	put_be24(&p[5], lun->block_size);
	return 8;
}

static void mode_reply(struct scsi_cmd *cmd, const uint8_t *list, size_t len, size_t descriptor)
{
	const uint8_t specific = mode_device_specific(cmd->lun);
	uint8_t data[8 + MODE_LIST_MAX] = { 0 };

	if (cmd->cdb[0] == 0x1a) {
		data[0] = (uint8_t)(len + 3);
		data[2] = specific;
		data[3] = (uint8_t)descriptor;
		memcpy(data + 4, list, len);
		scsi_reply(cmd, data, 4 + len, cmd->cdb[4]);
		return;
	}
	put_be16(data, (uint16_t)(len + 6));
	data[3] = specific;
	data[4] = descriptor == 16;	/* LONGLBA */
	put_be16(&data[6], (uint16_t)descriptor);
	memcpy(data + 8, list, len);
	scsi_reply(cmd, data, 8 + len, get_be16(&cmd->cdb[7]));
}

/* There is no such page, or the page has no such subpage. */
static void mode_unknown(struct scsi_cmd *cmd)
{
	const uint8_t code = cmd->cdb[2] & 0x3f;
	bool known = code == 0x3f;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mode_pages); i++)
		known |= mode_pages[i].code == code && mode_pages[i].kinds & op_kind(cmd);
	if (known)
		scsi_fail_cdb(cmd, 3, -1);
	else
		scsi_fail_cdb(cmd, 2, 5);
}

void spc_mode_sense(struct scsi_cmd *cmd)
{
	const bool no_descriptor = cmd->cdb[1] & 0x08, is_long = cmd->cdb[1] & 0x10;
	uint8_t list[MODE_LIST_MAX];
	size_t descriptor = 0, len;

	if (cmd->cdb[2] >> 6 == MODE_SAVED) {
		scsi_fail(cmd, SENSE_NO_SAVING);
		return;
	}
	if (op_kind(cmd) == OP_DISK && !no_descriptor)
		descriptor = mode_block_descriptor(cmd->lun, is_long, list);
	len = mode_fill_wanted(cmd, list + descriptor);
	if (!len)
		mode_unknown(cmd);
	else
		mode_reply(cmd, list, descriptor + len, descriptor);
}

/*
 * MODE SELECT.  All of the list is judged before any of it counts.
 */

struct mode_list {
	struct scsi_cmd *cmd;
	uint8_t data[MODE_LIST_MAX];
	size_t len, at;			/* bytes; how far it has been judged */
	unsigned int clear, set;	/* SPC_* */
};

/* Every bit which may not change is as it is now. */
static bool mode_page_unchanged(struct mode_list *list, const struct mode_page *page)
{
	const struct scsi_lun *lun = list->cmd->lun;
	uint8_t now[MODE_LIST_MAX], may[MODE_LIST_MAX];
	size_t i, len = mode_fill(lun, page, MODE_CURRENT, now);

	mode_fill(lun, page, MODE_CHANGEABLE, may);
	for (i = page->sub ? 4 : 2; i < len; i++) {
		if ((now[i] ^ list->data[list->at + i]) & ~may[i]) {
			scsi_fail_param(list->cmd, (unsigned int)(list->at + i), -1);
			return false;
		}
	}
	return true;
}

static void mode_take_bits(struct mode_list *list, const struct mode_page *page)
{
	const struct mode_bit *bit;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mode_bits) && !page->sub; i++) {
		bit = &mode_bits[i];
		if (bit->code != page->code || !mode_changeable(list->cmd->lun, bit))
			continue;
		list->clear |= bit->mode;
		list->set &= ~bit->mode;
		if (list->data[list->at + 2 + bit->at] & bit->mask)
			list->set |= bit->mode;
	}
}

static const struct mode_page *mode_find(const struct scsi_cmd *cmd, const uint8_t *p)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mode_pages); i++) {
		if (mode_page_is(cmd, &mode_pages[i], p[0] & 0x3f, p[0] & 0x40 ? p[1] : 0))
			return &mode_pages[i];
	}
	return NULL;
}

/* The next page of the list; false: the command has ended. */
static bool mode_judge_page(struct mode_list *list)
{
	const uint8_t *p = &list->data[list->at];
	const size_t left = list->len - list->at, header = p[0] & 0x40 ? 4 : 2;
	const struct mode_page *page;
	unsigned int len;

	if (left < header) {
		scsi_fail(list->cmd, SENSE_LIST_LENGTH);
		return false;
	}
	page = mode_find(list->cmd, p);
	len = header == 4 ? get_be16(&p[2]) : p[1];
	/* PS is reserved here; a page has the length that MODE SENSE says. */
	if (!page || p[0] & 0x80 || len != page->len) {
		scsi_fail_param(list->cmd, (unsigned int)list->at +
				(page && !(p[0] & 0x80) ? (unsigned int)header - 1 : 0), -1);
		return false;
	}
	if (left < header + len) {
		scsi_fail(list->cmd, SENSE_LIST_LENGTH);
		return false;
	}
	if (!mode_page_unchanged(list, page))
		return false;
	mode_take_bits(list, page);
	list->at += header + len;
	return true;
}

/* The block descriptor can only say what is so already (SBC-3 6.4.2: or nothing). */
static bool mode_judge_descriptor(struct mode_list *list, size_t size, bool is_long)
{
	const struct scsi_lun *lun = list->cmd->lun;
	const uint8_t *p = &list->data[list->at];
	const uint64_t blocks = is_long ? get_be64(p) : get_be32(p);
	const uint32_t block = is_long ? get_be32(&p[12]) : get_be24(&p[5]);
	const uint64_t all = is_long ? UINT64_MAX : UINT32_MAX;

	if ((blocks && blocks != all && blocks != scsi_lun_blocks(lun)) ||
	    block != lun->block_size) {
		scsi_fail_param(list->cmd, (unsigned int)list->at, -1);
		return false;
	}
	list->at += size;
	return true;
}

/* Header and block descriptor. */
static bool mode_judge_header(struct mode_list *list)
{
	const bool six = list->cmd->cdb[0] == 0x15;
	const size_t header = six ? 4 : 8;
	const bool is_long = !six && list->data[4] & 0x01;
	size_t descriptor;

	if (list->len < header) {
		scsi_fail(list->cmd, SENSE_LIST_LENGTH);
		return false;
	}
	/* MEDIUM TYPE */
	if (list->data[six ? 1 : 2]) {
		scsi_fail_param(list->cmd, six ? 1 : 2, -1);
		return false;
	}
	descriptor = six ? list->data[3] : get_be16(&list->data[6]);
	list->at = header;
	if (!descriptor)
		return true;
	if (descriptor != (is_long ? 16 : 8) || op_kind(list->cmd) != OP_DISK) {
		scsi_fail_param(list->cmd, six ? 3 : 6, -1);
		return false;
	}
	if (list->len - header < descriptor) {
		scsi_fail(list->cmd, SENSE_LIST_LENGTH);
		return false;
	}
	return mode_judge_descriptor(list, descriptor, is_long);
}

void spc_mode_select(struct scsi_cmd *cmd)
{
	const size_t len = cmd->cdb[0] == 0x15 ? cmd->cdb[4] : get_be16(&cmd->cdb[7]);
	struct mode_list list = { .cmd = cmd, .len = len };

	if (cmd->cdb[1] & 0x01) {	/* SP: nothing can be saved */
		scsi_fail_cdb(cmd, 1, 0);
		return;
	}
	if (len && !(cmd->cdb[1] & 0x10)) {	/* PF: the list is not what standards say */
		scsi_fail_cdb(cmd, 1, 4);
		return;
	}
	if (!scsi_given(cmd, len))
		return;
	if (!len) {
		scsi_good(cmd);
		return;
	}
	if (len > sizeof(list.data)) {
		scsi_fail(cmd, SENSE_LIST_LENGTH);
		return;
	}
	scsi_param(cmd, 0, list.data, len);
	if (!mode_judge_header(&list))
		return;
	while (list.at < list.len) {
		if (!mode_judge_page(&list))
			return;
	}
	/* The only initiator is the one which knows, so there is no unit attention. */
	spc_set_modes(cmd->lun, list.clear, list.set);
	cmd->transferred = len;
	scsi_good(cmd);
}
