/* SPDX-License-Identifier: BSD-3-Clause */
/* INQUIRY and the vital product data pages (SPC-4 6.6 and 7.8, SBC-3 6.5). */
#include <stdio.h>
#include <string.h>

#include "scsi/sbc.h"

#define INQUIRY_VENDOR	"libvhost"	/* 8 characters, T10 vendor identification */
#define INQUIRY_REVISION "0001"

#define INQUIRY_MAX	256		/* bytes of the longest page */

/* PERIPHERAL QUALIFIER and DEVICE TYPE. */
static uint8_t inquiry_type(const struct scsi_cmd *cmd)
{
	switch (op_kind(cmd)) {
	case OP_DISK:
		return 0x00;
	case OP_CDROM:
		return 0x05;
	case OP_WELL_KNOWN:
		return 0x1e;
	default:
		return 0x7f;
	}
}

/* Text fills its field with blanks (4.4.1). */
static void inquiry_text(uint8_t *p, size_t size, const char *text)
{
	const size_t len = strlen(text);

	memset(p, ' ', size);
	memcpy(p, text, MIN(len, size));
}

static const char *inquiry_product(const struct scsi_cmd *cmd)
{
	return op_kind(cmd) == OP_CDROM ? "VIRTUAL CD-ROM" : "VIRTUAL DISK";
}

static void inquiry_standard(struct scsi_cmd *cmd, size_t alloc)
{
	uint8_t data[96] = { 0 };

	data[0] = inquiry_type(cmd);
	data[1] = op_kind(cmd) == OP_CDROM ? 0x80 : 0;	/* RMB */
	data[2] = 0x06;					/* SPC-4 */
	data[3] = 0x12;					/* HISUP, response data format */
	data[4] = sizeof(data) - 5;
	data[7] = 0x02;					/* CMDQUE */
	inquiry_text(&data[8], 8, INQUIRY_VENDOR);
	inquiry_text(&data[16], 16, inquiry_product(cmd));
	inquiry_text(&data[32], 4, INQUIRY_REVISION);
	/* version descriptors, without claiming a revision: SAM-5, SPC-4, SBC-3 or MMC-6 */
	put_be16(&data[58], 0x00a0);
	put_be16(&data[60], 0x0460);
	if (op_kind(cmd) == OP_DISK)
		put_be16(&data[62], 0x04c0);
	if (op_kind(cmd) == OP_CDROM)
		put_be16(&data[62], 0x04e0);
	scsi_reply(cmd, data, sizeof(data), alloc);
}

/*
 * Pages.  Each function fills what follows the header of four bytes, in zeroed memory, and
 * returns its length.
 */

struct vpd_page {
	uint8_t code;
	unsigned int kinds;		/* OP_* */
	size_t (*fill)(const struct scsi_cmd *cmd, uint8_t *p);
};

static size_t vpd_supported(const struct scsi_cmd *cmd, uint8_t *p);

/* 7.8.14 */
static size_t vpd_serial(const struct scsi_cmd *cmd, uint8_t *p)
{
	const char *serial = cmd->lun->params.serial;
	const size_t len = MIN(strlen(serial), 20u);

	memcpy(p, serial, len);
	return len;
}

/* FNV-1a, to make a number of a name. */
static uint64_t vpd_hash(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return h;
}

/* T10 vendor identification (7.8.5.4): vendor, product and serial number, of the unit. */
static size_t vpd_designate_vendor(const struct scsi_cmd *cmd, uint8_t *p)
{
	const char *serial = cmd->lun->params.serial;
	const size_t len = MIN(strlen(serial), 20u);

	p[0] = 0x02;			/* ASCII */
	p[1] = 0x01;
	p[3] = (uint8_t)(24 + len);
	inquiry_text(&p[4], 8, INQUIRY_VENDOR);
	inquiry_text(&p[12], 16, inquiry_product(cmd));
	memcpy(&p[28], serial, len);
	return 4 + p[3];
}

/*
 * NAA locally assigned (7.8.5.6.4), of the unit: the serial number is all there is to make it of.
 */
static size_t vpd_designate_naa(const struct scsi_cmd *cmd, uint8_t *p)
{
	p[0] = 0x01;			/* binary */
	p[1] = 0x03;
	p[3] = 8;
	put_be64(&p[4], (vpd_hash(cmd->lun->params.serial) & ~(UINT64_C(0xf) << 60)) |
			UINT64_C(3) << 60);
	return 12;
}

/* Relative target port 1 (7.8.5.7), of the port: there is one. */
static size_t vpd_designate_port(uint8_t *p)
{
	p[0] = 0x01;
	p[1] = 0x14;
	p[3] = 4;
	put_be16(&p[6], 1);
	return 8;
}

static size_t vpd_identification(const struct scsi_cmd *cmd, uint8_t *p)
{
	size_t len = 0;

	if (cmd->lun) {
		len += vpd_designate_vendor(cmd, p);
		len += vpd_designate_naa(cmd, p + len);
	}
	return len + vpd_designate_port(p + len);
}

/* 7.8.7 */
static size_t vpd_extended(const struct scsi_cmd *cmd, uint8_t *p)
{
	p[1] = 0x07;					/* HEADSUP, ORDSUP, SIMPSUP */
	p[2] = cmd->lun->info.volatile_cache ? 0x01 : 0;	/* V_SUP */
	p[9] = SCSI_SENSE_MAX;				/* maximum supported sense data length */
	return 60;
}

/* SBC-3 6.5.3 */
static size_t vpd_block_limits(const struct scsi_cmd *cmd, uint8_t *p)
{
	const struct scsi_lun *lun = cmd->lun;
	const struct storage_info *info = &lun->info;
	const unsigned int block = lun->block_size;

	p -= 4;				/* offsets as in the standard */
	p[4] = 0x01;			/* WSNZ */
	p[5] = SBC_COMPARE_MAX;
	put_be16(&p[6], (uint16_t)MAX(info->physical_block / block, 1u));
	put_be32(&p[8], (uint32_t)sbc_limit(lun, SBC_TRANSFER_MAX));
	put_be32(&p[12], (uint32_t)MIN(info->opt_io / block, sbc_limit(lun, SBC_TRANSFER_MAX)));
	put_be32(&p[16], (uint32_t)sbc_limit(lun, SBC_TRANSFER_MAX));
	put_be64(&p[36], sbc_limit(lun, SBC_SAME_MAX));
	if (!scsi_lun_thin(lun))
		return 60;
	put_be32(&p[20], sbc_unmap_max(lun));
	put_be32(&p[24], SBC_UNMAP_RANGES);
	put_be32(&p[28], MAX(info->discard_align / block, 1u));
	put_be32(&p[32], UINT32_C(1) << 31);		/* UGAVALID, alignment 0 */
	return 60;
}

/* SBC-3 6.5.2: a non-rotating medium, of whatever form. */
static size_t vpd_characteristics(const struct scsi_cmd *cmd, uint8_t *p)
{
	(void)cmd;
	put_be16(p, 1);
	return 60;
}

/* SBC-3 6.5.4: LBPU; LBPWS, LBPWS10, LBPRZ where unmapped blocks read as zeroes. */
static size_t vpd_provisioning(const struct scsi_cmd *cmd, uint8_t *p)
{
	const struct scsi_lun *lun = cmd->lun;

	if (!scsi_lun_thin(lun))
		return 4;
	p[1] = (uint8_t)(0x80 | (lun->info.zero_unmap ? 0x64 : 0));
	p[2] = 0x02;			/* thin */
	return 4;
}

static const struct vpd_page vpd_pages[] = {
	{ 0x00, OP_UNITS | OP_WELL_KNOWN, vpd_supported },
	{ 0x80, OP_UNITS, vpd_serial },
	{ 0x83, OP_UNITS | OP_WELL_KNOWN, vpd_identification },
	{ 0x86, OP_UNITS, vpd_extended },
	{ 0xb0, OP_DISK, vpd_block_limits },
	{ 0xb1, OP_DISK, vpd_characteristics },
	{ 0xb2, OP_DISK, vpd_provisioning },
};

static size_t vpd_supported(const struct scsi_cmd *cmd, uint8_t *p)
{
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(vpd_pages); i++) {
		if (vpd_pages[i].kinds & op_kind(cmd))
			p[n++] = vpd_pages[i].code;
	}
	return n;
}

static void inquiry_page(struct scsi_cmd *cmd, size_t alloc)
{
	uint8_t data[INQUIRY_MAX] = { 0 };
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(vpd_pages); i++) {
		if (vpd_pages[i].code != cmd->cdb[2] || !(vpd_pages[i].kinds & op_kind(cmd)))
			continue;
		len = vpd_pages[i].fill(cmd, data + 4);
		data[0] = inquiry_type(cmd);
		data[1] = cmd->cdb[2];
		put_be16(&data[2], (uint16_t)len);
		scsi_reply(cmd, data, 4 + len, alloc);
		return;
	}
	scsi_fail_cdb(cmd, 2, -1);
}

void spc_inquiry(struct scsi_cmd *cmd)
{
	const uint16_t alloc = get_be16(&cmd->cdb[3]);

	if (cmd->cdb[1] & 0x01)
		inquiry_page(cmd, alloc);
	else if (cmd->cdb[2])
		scsi_fail_cdb(cmd, 2, -1);
	else
		inquiry_standard(cmd, alloc);
}
