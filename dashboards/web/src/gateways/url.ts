/** What the view of gateways shows, as the address says it. */
export interface GatewaysView {
  gateway: string | undefined
  /** Part of a file's name. */
  search: string | undefined
  /** `next` of the page of the ledger before. */
  page: string | undefined
}

export const readGatewaysView = (query: URLSearchParams): GatewaysView => ({
  gateway: query.get('gateway') || undefined,
  search: query.get('search') || undefined,
  page: query.get('page') || undefined,
})

export const gatewaysUrl = (view: GatewaysView): string => {
  const query = new URLSearchParams()
  for (const key of ['gateway', 'search', 'page'] as const) {
    const value = view[key]
    if (value !== undefined && value !== '') query.set(key, value)
  }
  const text = query.toString()
  return text === '' ? '/gateways' : `/gateways?${text}`
}
