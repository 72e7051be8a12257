/* SPDX-License-Identifier: BSD-3-Clause */
/* Units by address: a sorted array, since they are looked up much more often than changed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/target.h"
#include "util.h"

unsigned int scsi_table_seek(const struct scsi_table *table, uint32_t key)
{
	unsigned int low = 0, high = table->num;

	while (low < high) {
		unsigned int middle = low + (high - low) / 2;

		if (table->entries[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void *scsi_table_find(const struct scsi_table *table, uint32_t key)
{
	unsigned int i = scsi_table_seek(table, key);

	return i < table->num && table->entries[i].key == key ? table->entries[i].item : NULL;
}

bool scsi_table_any(const struct scsi_table *table, uint32_t first, uint32_t last)
{
	unsigned int i = scsi_table_seek(table, first);

	return i < table->num && table->entries[i].key <= last;
}

static int scsi_table_grow(struct scsi_table *table)
{
	unsigned int room = MAX(4, 2 * table->room);
	struct scsi_entry *entries;

	if (table->num < table->room)
		return 0;
	entries = reallocarray(table->entries, room, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	table->entries = entries;
	table->room = room;
	return 0;
}

int scsi_table_add(struct scsi_table *table, uint32_t key, void *item)
{
	unsigned int i = scsi_table_seek(table, key);
	struct scsi_entry *entry;
	int ret;

	if (i < table->num && table->entries[i].key == key)
		return -EEXIST;
	ret = scsi_table_grow(table);
	if (ret)
		return ret;
	entry = &table->entries[i];
	memmove(entry + 1, entry, (table->num - i) * sizeof(*entry));
	*entry = (struct scsi_entry){ key, item };
	table->num++;
	return 0;
}

void *scsi_table_del(struct scsi_table *table, uint32_t key)
{
	unsigned int i = scsi_table_seek(table, key);
	struct scsi_entry *entry = &table->entries[i];
	void *item;

	if (i == table->num || entry->key != key)
		return NULL;
	item = entry->item;
	table->num--;
	memmove(entry, entry + 1, (table->num - i) * sizeof(*entry));
	return item;
}
