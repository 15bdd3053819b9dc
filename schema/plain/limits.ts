// Upper limits of what operators may write. docs/api.md lists them, and a test compares both.

/** RFC 8200 §5: a link that carries IPv6 needs it; the kernel drops a device's IPv6 neighbours below. */
export const minIpv6Mtu = 1280;

export const limits = {
  subnetsPerNetwork: 16,
  reservedRangesPerNetwork: 64,
  gatewaysPerNetwork: 16,
  /** How long a released address may stay in quarantine, s. */
  quarantineSeconds: 86_400,
  vmsPerHost: 4_096,
  interfacesPerVm: 32,
  ipsPerInterface: 64,
  allowedAddressesPerInterface: 16,
  /** As many as a token can be limited to. */
  ownerNetworksPerVm: 256,
  labelsPerResource: 64,
  /** Characters of a label's key behind its prefix, and of its value. */
  labelLength: 63,
  /** Characters of a label's prefix, a DNS name (RFC 1035 §2.3.4). */
  labelPrefixLength: 253,
  descriptionLength: 1_024,
} as const;
