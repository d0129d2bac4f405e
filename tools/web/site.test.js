// Tests the built site in Chromium.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { serve } from 'vitepress'
import { openBrowser } from './browser.js'

const folder = new URL('../../.cache/site/', import.meta.url).pathname
let server, browser, base

before(async () => {
  ;({ server } = await serve({ root: import.meta.dirname, port: 0 }))
  browser = await openBrowser()
  base = `http://localhost:${server.address().port}/atta-deploy-action/`
})

after(async () => {
  await browser.close()
  server.close()
})

// open opens a page at the width of a screen, and notes what goes wrong in it.
async function open(path, width = 1280) {
  const page = await browser.newPage()
  page.problems = []
  page.on('console', (message) => message.type() === 'error' && page.problems.push(message.text()))
  page.on('pageerror', (error) => page.problems.push(error.message))
  page.on('response', (response) => response.status() >= 400 && page.problems.push(`${response.status()} ${response.url()}`))
  await page.setViewport({ width, height: 800 })
  await page.goto(base + path, { waitUntil: 'networkidle0' })
  return page
}

test('each page opens without an error, fits a phone and links to headings that exist', async () => {
  const paths = readdirSync(folder, { recursive: true }).filter((path) => path.endsWith('.html') && path !== '404.html')
  assert(paths.length >= 15, `${paths.length} pages`)
  const ids = new Set()
  const links = []
  for (const path of paths) {
    const page = await open(path, 390)
    const found = await page.evaluate(() => ({
      width: document.documentElement.scrollWidth,
      ids: [...document.querySelectorAll('[id]')].map((element) => element.id),
      links: [...document.querySelectorAll('.vp-doc a[href*="#"]')].filter((link) => link.origin === location.origin).map((link) => link.pathname + decodeURI(link.hash)),
    }))
    assert.deepEqual(page.problems, [], path)
    assert(found.width <= 390, `${path} is ${found.width} pixels wide`)
    for (const id of found.ids) ids.add(`${new URL(page.url()).pathname}#${id}`)
    links.push(...found.links)
    await page.close()
  }
  assert(links.length >= 100, `${links.length} links`)
  assert.deepEqual(links.filter((link) => !ids.has(link.replace('/#', '/index.html#'))), [])
})

test('a search for a word finds its page', async () => {
  const page = await open('')
  await page.click('.VPNavBarSearch button')
  await page.locator('.VPLocalSearchBox input').fill('quarantined')
  const result = await page.waitForSelector('.VPLocalSearchBox .result')
  const href = await result.evaluate((link) => link.href)
  await result.click()
  await page.waitForFunction((url) => location.href === url, {}, href)
  await page.waitForFunction(() => document.querySelector('.vp-doc').innerText.includes('quarantined'))
  assert.deepEqual(page.problems, [])
})

test('an anchor scrolls to its heading', async () => {
  const page = await open('docs/rollouts.html')
  await page.click('.VPDocAsideOutline a[href="#the-summary"]')
  await page.waitForFunction(() => {
    const { top } = document.getElementById('the-summary').getBoundingClientRect()
    return top >= 0 && top < 200
  })
  assert.equal(new URL(page.url()).hash, '#the-summary')
})

test('the dark mode can be switched on, and stays', async () => {
  const page = await open('docs/setup.html')
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  const light = await background()
  await page.click('.VPNavBarAppearance button')
  await page.waitForSelector('html.dark')
  await page.reload({ waitUntil: 'networkidle0' })
  assert.notEqual(await background(), light)
})
