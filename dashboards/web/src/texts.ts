/** Every text that the frame of the page shows; a view keeps its own beside these, by its name. One file a language. */
export const texts = {
  skip: 'Skip to content',
  product: 'Penstock',
  nav: {
    label: 'Views',
    overview: 'Overview',
    counts: 'Counts',
    instruments: 'Instruments',
    gateways: 'Gateways',
    gaps: 'Gaps',
    quarantine: 'Quarantine',
    reference: 'API',
  },
  theme: { dark: 'Use dark colours', light: 'Use light colours' },
  line: {
    live: 'Live',
    connecting: 'Connecting …',
    offline: 'Offline',
    offlineNow: 'Offline, as of just now',
    offlineMinutes: (minutes: number) => `Offline, as of ${minutes} min ago`,
  },
  behind: {
    title: 'Figures are behind.',
    text: 'What has arrived is safe in the journal and will show by itself.',
  },
  notFound: { title: 'There is no such view', text: 'Choose one from the list above.' },
  failedToLoad: 'This view could not be loaded',
  retry: 'Try again',
} as const
