import puppeteer from 'puppeteer-core'

// openBrowser starts Debian's Chromium, or the one that CHROMIUM names. Its sandbox does not work for root.
export const openBrowser = () =>
  puppeteer.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: process.getuid() === 0 ? ['--no-sandbox'] : [] })
