// SPDX-License-Identifier: GPL-2.0-only
/*
 * fakepci - a PCI root bus whose devices exist only in a table.
 *
 * The kernel scans the bus as it scans a real one, so the devices appear in sysfs, raise uevents and make udev load
 * the drivers that claim their ids. There is nothing behind them: no base address registers, no interrupt. A driver
 * that probes one fails in its own way, as it would on a dead card.
 *
 *   modprobe fakepci ids=10de:20b2:030200:10de:1463,10de:1eb8:030200
 *
 * Each id is vendor:device:class[:subvendor:subdevice], all in hexadecimal; `class` has 24 bits. Device n of the
 * table is slot n, function 0.
 */
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/pci.h>
#include <linux/unaligned.h>

#define MAX_DEVICES 32
#define CONFIG_BYTES 256
#define REVISION 0xa1

static char *ids[MAX_DEVICES];
static int id_count;
module_param_array(ids, charp, &id_count, 0444);
MODULE_PARM_DESC(ids, "vendor:device:class[:subvendor:subdevice], hexadecimal, comma separated");

static int domain;
module_param(domain, int, 0444);
MODULE_PARM_DESC(domain, "PCI domain of the bus (default 0)");

static int bus_number = 0x41;
module_param_named(bus, bus_number, int, 0444);
MODULE_PARM_DESC(bus, "number of the bus (default 0x41)");

static u8 config[MAX_DEVICES][CONFIG_BYTES];
static struct pci_bus *root_bus;
static struct pci_sysdata sysdata;
static struct resource bus_range = {
	.name = "fakepci",
	.flags = IORESOURCE_BUS,
};

/* The device's config space, or NULL where nobody answers. */
static u8 *config_of(struct pci_bus *bus, unsigned int devfn)
{
	unsigned int slot = PCI_SLOT(devfn);

	if (bus->number != bus_number || PCI_FUNC(devfn) != 0 || slot >= id_count)
		return NULL;
	return config[slot];
}

static int read_config(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *value)
{
	const u8 *space = config_of(bus, devfn);

	if (!space) {
		PCI_SET_ERROR_RESPONSE(value);
		return PCIBIOS_DEVICE_NOT_FOUND;
	}
	if (where + size > CONFIG_BYTES)
		*value = 0; /* no extended config space */
	else if (size == 1)
		*value = space[where];
	else if (size == 2)
		*value = get_unaligned_le16(space + where);
	else
		*value = get_unaligned_le32(space + where);
	return PCIBIOS_SUCCESSFUL;
}

/* Only the enable bits of the command register can be changed; a probe reads them back. */
static int write_config(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 value)
{
	u8 *space = config_of(bus, devfn);

	if (!space)
		return PCIBIOS_DEVICE_NOT_FOUND;
	if (where == PCI_COMMAND && size == 2)
		put_unaligned_le16(value & (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER), space + where);
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops config_ops = {
	.read = read_config,
	.write = write_config,
};

static int fill_config(u8 *space, const char *id)
{
	unsigned int vendor, device, class, subvendor, subdevice;
	int found = sscanf(id, "%x:%x:%x:%x:%x", &vendor, &device, &class, &subvendor, &subdevice);

	if (found != 3 && found != 5) {
		pr_err("fakepci: '%s' is not vendor:device:class[:subvendor:subdevice]\n", id);
		return -EINVAL;
	}
	put_unaligned_le16(vendor, space + PCI_VENDOR_ID);
	put_unaligned_le16(device, space + PCI_DEVICE_ID);
	put_unaligned_le32(class << 8 | REVISION, space + PCI_CLASS_REVISION);
	put_unaligned_le16(found == 5 ? subvendor : vendor, space + PCI_SUBSYSTEM_VENDOR_ID);
	put_unaligned_le16(found == 5 ? subdevice : device, space + PCI_SUBSYSTEM_ID);
	return 0;
}

static int add_bus(void)
{
	LIST_HEAD(resources);

	sysdata.domain = domain;
	sysdata.node = NUMA_NO_NODE;
	bus_range.start = bus_number;
	bus_range.end = bus_number;
	pci_add_resource(&resources, &ioport_resource);
	pci_add_resource(&resources, &iomem_resource);
	pci_add_resource(&resources, &bus_range);

	pci_lock_rescan_remove();
	root_bus = pci_create_root_bus(NULL, bus_number, &config_ops, &sysdata, &resources);
	if (root_bus) {
		pci_scan_child_bus(root_bus);
		pci_bus_add_devices(root_bus);
	} else {
		pci_free_resource_list(&resources);
	}
	pci_unlock_rescan_remove();
	return root_bus ? 0 : -EBUSY;
}

static int __init fakepci_init(void)
{
	int slot, error;

	for (slot = 0; slot < id_count; slot++) {
		error = fill_config(config[slot], ids[slot]);
		if (error)
			return error;
	}
	return add_bus();
}

static void __exit fakepci_exit(void)
{
	pci_lock_rescan_remove();
	pci_stop_root_bus(root_bus);
	pci_remove_root_bus(root_bus);
	pci_unlock_rescan_remove();
}

module_init(fakepci_init);
module_exit(fakepci_exit);
MODULE_DESCRIPTION("A PCI bus with invented devices, for tests");
MODULE_LICENSE("GPL");
