/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lun field of virtio-scsi: a target, and a single-level LUN (SAM-5 4.7.5) with peripheral,
 * flat space or, for REPORT LUNS, well-known addressing.
 */
#include <string.h>

#include "virtio_scsi.h"

#define FORMAT_TARGET		0x01	/* first byte: a target follows */
#define WELL_KNOWN		0xc1	/* extended, one byte, well-known */
#define WELL_KNOWN_REPORT_LUNS	0x01

static bool is_report_luns(const uint8_t *lun)
{
	return lun[0] == WELL_KNOWN && lun[1] == WELL_KNOWN_REPORT_LUNS;
}

bool virtio_scsi_get_address(struct scsi_address *address, const uint8_t lun[VIRTIO_SCSI_LUN_LEN])
{
	static const uint8_t zero[VIRTIO_SCSI_LUN_LEN];

	*address = (struct scsi_address){ 0 };
	/* Without a target, it is that of the first one. */
	if (is_report_luns(lun)) {
		address->report_luns = true;
		return !memcmp(lun + 2, zero, 6);
	}
	if (lun[0] != FORMAT_TARGET || memcmp(lun + 4, zero, 4))
		return false;
	address->target = lun[1];
	if (is_report_luns(lun + 2)) {
		address->report_luns = true;
		return true;
	}
	/* Peripheral device addressing on bus 0, which is 8 bits, or flat space, 14 bits. */
	address->lun = (uint16_t)((lun[2] & 0x3f) << 8 | lun[3]);
	return !lun[2] || lun[2] >> 6 == 1;
}

void virtio_scsi_put_address(uint8_t lun[VIRTIO_SCSI_LUN_LEN], const struct scsi_address *address)
{
	/* As REPORT LUNS has them: Linux knows a unit by these two bytes, whatever they mean. */
	const unsigned int number = address->lun < 256 ? address->lun : 0x4000 | address->lun;
	const uint8_t bytes[VIRTIO_SCSI_LUN_LEN] = {
		FORMAT_TARGET, address->target, (uint8_t)(number >> 8), (uint8_t)number,
	};

	memcpy(lun, bytes, sizeof(bytes));
}
