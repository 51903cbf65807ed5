//! What of a build's wishes mock cannot be told.

use farm_api::recipe::Repository;

use crate::driver::BuildRequest;

/// Why mock is not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// For what the job asks; no builder with mock does it.
    OfJob(String),
    /// For what this driver lacks; another one may have it.
    OfDriver(String),
}

/// What begins a template. mock fills in the values that it is called with as templates, on the host, and so runs whatever stands there.
const TEMPLATES: [&str; 3] = ["{{", "{%", "{#"];

/// Why mock must not be called for a build, if so.
pub fn refusal(request: &BuildRequest) -> Option<Refusal> {
    let words = request.options.rpmbuild_arguments();
    let urls = request.repositories.iter().flat_map(|own| [own.baseurl.clone(), own.gpgkey.clone()]).flatten();
    if let Some(word) = words.into_iter().chain(urls).find(|word| TEMPLATES.iter().any(|start| word.contains(start))) {
        return Some(Refusal::OfJob(format!(
            "mock would take “{}” for a template: write it without “{{{{”, “{{%” and “{{#”, or build where the native driver is",
            word.chars().take(120).collect::<String>().escape_debug()
        )));
    }
    let lack = |own: &Repository| match own {
        Repository { baseurl: None, .. } => Some("has no baseurl"),
        Repository { priority: Some(_), .. } => Some("has a priority"),
        Repository { gpgcheck, gpgkey, .. } => (*gpgcheck || gpgkey.is_some()).then_some("has signatures to check"),
    };
    let (name, why) = request.repositories.iter().find_map(|own| lack(own).map(|why| (&own.name, why)))?;
    Some(Refusal::OfDriver(format!(
        "the repository {name} {why}, which mock cannot be told of one build's own; a builder with the native driver can"
    )))
}

#[cfg(test)]
mod tests {
    use farm_api::options::BuildOptions;

    use super::*;

    fn request(options: &str, repositories: Vec<Repository>) -> BuildRequest {
        let recipe = "name = 'm-x86_64'\nrelease = 'm'\narch = 'x86_64'\nbase = ['bash']\nrepository = []";
        BuildRequest {
            id: "1-1".parse().unwrap(),
            platform: toml::from_str(recipe).unwrap(),
            sources: Vec::new(),
            results: "results".into(),
            limits: Default::default(),
            network: false,
            like: None,
            options: serde_json::from_str::<BuildOptions>(options).unwrap(),
            repositories,
            remarks: Vec::new(),
        }
    }

    fn repository(url: &str) -> Repository {
        Repository {
            name: "farm-job-1".to_owned(),
            baseurl: Some(url.to_owned()),
            metalink: None,
            gpgcheck: false,
            gpgkey: None,
            priority: None,
            enabled: true,
        }
    }

    #[test]
    fn what_mock_would_run_on_the_host_is_never_given_to_it() {
        for value in ["{{ 7*7 }}", "x{% for a in b %}", "{# x #}"] {
            let options = serde_json::json!({ "macros": { "evil": value } }).to_string();
            let refused = refusal(&request(&options, Vec::new()));
            assert!(matches!(refused, Some(Refusal::OfJob(_))), "{value}: {refused:?}");
        }
        let refused = refusal(&request("{}", vec![repository("http://h/{{x}}")]));
        assert!(matches!(refused, Some(Refusal::OfJob(_))), "{refused:?}");
        let key = Repository { gpgkey: Some("http://h/{%x".to_owned()), ..repository("http://h/") };
        assert!(matches!(refusal(&request("{}", vec![key])), Some(Refusal::OfJob(_))));
    }

    #[test]
    fn ordinary_macros_and_plain_repositories_are_given_to_it() {
        let options = serde_json::json!({ "macros": { "dist": "%{?x}.f13", "braces": "{a}" }, "with": ["tests"] });
        assert_eq!(refusal(&request(&options.to_string(), vec![repository("http://h/")])), None);
    }

    #[test]
    fn a_repository_that_mock_cannot_be_told_of_is_not_left_out_in_silence() {
        let plain = || repository("http://h/");
        for (own, why) in [
            (Repository { baseurl: None, ..plain() }, "baseurl"),
            (Repository { priority: Some(5), ..plain() }, "priority"),
            (Repository { gpgcheck: true, ..plain() }, "signatures"),
            (Repository { gpgkey: Some("http://h/key".to_owned()), ..plain() }, "signatures"),
        ] {
            match refusal(&request("{}", vec![plain(), own])) {
                Some(Refusal::OfDriver(said)) => assert!(said.contains(why), "{said}"),
                other => panic!("{why}: {other:?}"),
            }
        }
    }
}
