// The site of README.md and docs/. It is built from the files as they are in the repository.

import { existsSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'

const repository = 'https://github.com/org/atta-deploy-action'
const folder = new URL('../../..', import.meta.url).pathname

const sections = {
  'Get started': { Overview: 'index', Setup: 'docs/setup', Workflows: 'docs/workflows', Inputs: 'docs/inputs' },
  'In depth': {
    Rollouts: 'docs/rollouts', Instances: 'docs/instance', Images: 'docs/images', Permissions: 'docs/permissions', Security: 'SECURITY',
    Reliability: 'docs/reliability', Troubleshooting: 'docs/troubleshooting',
  },
  Development: { Architecture: 'docs/architecture', Benchmarks: 'docs/benchmarks', Contributing: 'CONTRIBUTING', Changelog: 'CHANGELOG' },
}
const pages = Object.values(sections).flatMap((section) => Object.values(section)).map((page) => `${page}.md`)

// siteLink returns where a relative link leads: to a page of the site, or to a file or folder on GitHub.
function siteLink(page, href) {
  const [path, anchor] = href.split('#')
  const target = posix.join(posix.dirname(page), path).replace(/^README\.md$/, 'index.md')
  const hash = anchor ? `#${anchor}` : ''
  if (pages.includes(target)) return `/${target}${hash}`
  if (!existsSync(join(folder, target))) throw new Error(`${page} links to ${href}, which does not exist`)
  return `${repository}/${statSync(join(folder, target)).isDirectory() ? 'tree' : 'blob'}/main/${target}${hash}`
}

// adaptToSite makes the links and the pictures of a page work in the site.
function adaptToSite(markdown) {
  markdown.core.ruler.push('site', ({ tokens, env }) => {
    for (const token of tokens.flatMap((token) => [token, ...(token.children ?? [])])) {
      const href = token.type === 'link_open' ? token.attrGet('href') : ''
      if (href && !/^([a-z]+:|#)/.test(href)) token.attrSet('href', siteLink(env.relativePath, href))
      if (token.type === 'code_inline') token.attrSet('v-pre', '') // {{ }} is no expression of Vue
      if (token.type === 'html_block') token.content = token.content.replaceAll(/(src|srcset)="(?=[a-z])/g, '$1="./')
    }
  })
}

// resolveVue finds Vue for pages, which have no node_modules above them.
const resolveVue = {
  name: 'resolve-vue',
  enforce: 'pre',
  resolveId(id, _, options) {
    return /^vue(\/|$)/.test(id) ? this.resolve(id, import.meta.filename, { ...options, skipSelf: true }) : null
  },
}

export default {
  title: 'atta-deploy-action',
  description: 'Deploys container images to EC2 instances through SSM, and proves that they run',
  head: [
    ['link', { rel: 'icon', href: 'data:,' }], // none: without this line, a browser would ask for one
    ['style', {}, '.vp-doc td code { overflow-wrap: anywhere }'], // lets a table with long names fit a phone
  ],
  base: '/atta-deploy-action/',
  srcDir: folder,
  srcExclude: ['examples/**', 'internal/**', 'test/**', 'tools/**'],
  rewrites: { 'README.md': 'index.md' },
  outDir: join(folder, '.cache/site'),
  cacheDir: join(folder, '.cache/vitepress'),
  vite: { plugins: [resolveVue] },
  markdown: {
    config: adaptToSite,
    anchor: { slugify: (title) => title.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-') }, // as GitHub
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    sidebar: Object.entries(sections).map(([text, section]) => ({ text, items: Object.entries(section).map(([text, page]) => ({ text, link: `/${page}` })) })),
    socialLinks: [{ icon: 'github', link: repository }],
  },
}
