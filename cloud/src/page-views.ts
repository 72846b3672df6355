/** Paths of the page's views (`dashboards/web/src/app.tsx`): a link to one of them, or a reload, is answered with the page. */
export const pageViews = ['/counts', '/instruments', '/gateways', '/gaps', '/quarantine', '/reference'] as const
